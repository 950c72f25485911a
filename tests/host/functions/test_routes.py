import pytest

from durable_host.errors import AppError
from durable_host.functions.routes import compile_route


@pytest.mark.parametrize(
    ("template", "path", "values"),
    [
        ("api/orchestrators/{functionName}", "/api/orchestrators/E3_Monitor", {"functionName": "E3_Monitor"}),
        ("api/orchestrators/{functionName}", "/API/Orchestrators/x/", {"functionName": "x"}),
        ("api/orchestrators/{functionName}", "/api/orchestrators", None),
        ("api/orchestrators/{functionName}", "/api/orchestrators/a/b", None),
        ("api/orchestrators/{functionName}", "/api/orchestrators//", None),
        ("o/{name}/{id?}", "/o/a", {"name": "a"}),
        ("o/{name}/{id?}", "/o/a/b", {"name": "a", "id": "b"}),
        ("o/{name=Monitor}", "/o", {"name": "Monitor"}),
        ("o/{name=Monitor}", "/o/Other", {"name": "Other"}),
        ("files/{*rest}", "/files/a/b%20c/d", {"rest": "a/b c/d"}),
        ("files/{*rest}", "/files", {}),
        ("{*rest}", "/", {}),
        ("", "/", {}),
        ("", "/a", None),
        ("/leading", "/leading", {}),
        ("a b/{c}", "/a%20b/x%20y", {"c": "x y"}),
        ("a/{b}", "/a/x%2Fy", {"b": "x%2Fy"}),
        ("a/{b}", "/a/x%2fy%25", {"b": "x%2fy%"}),
        ("v{major}.{minor}/x", "/v1.2/x", {"major": "1", "minor": "2"}),
        ("{a}-{b}", "/x-y-z", {"a": "x-y", "b": "z"}),
        ("v{major}.{minor}", "/v1", None),
        ("{{a}}", "/{a}", {}),
        ("a.b", "/aXb", None),
    ],
)
def test_a_path_fits_a_template(template: str, path: str, values: dict[str, str] | None) -> None:
    assert compile_route(template).match(path) == values


@pytest.mark.parametrize(
    ("constraint", "good", "bad"),
    [
        ("int", ["1", "-2147483648"], ["2147483648", "1.0", "x", "1_0"]),
        ("long", ["9223372036854775807"], ["9223372036854775808"]),
        ("bool", ["true", "FALSE"], ["1"]),
        ("datetime", ["2026-11-24", "2026-11-24T10:00:00Z", "11-24-2026"], ["tomorrow"]),
        ("decimal", ["1.5", "-1,000"], ["1e5", "x"]),
        ("double", ["1.5e3", ".5"], ["e3"]),
        ("float", ["1"], ["one"]),
        (
            "guid",
            ["0f8fad5b-d9cb-469f-a165-70867728950e", "{0f8fad5b-d9cb-469f-a165-70867728950e}", "0" * 32],
            ["{0f8fad5b-d9cb-469f-a165-70867728950e", "0f8f"],
        ),
        ("alpha", ["abcXYZ"], ["ab1"]),
        ("required", ["x"], []),
        ("minlength(2)", ["ab"], ["a"]),
        ("maxlength(2)", ["ab"], ["abc"]),
        ("length(2)", ["ab"], ["a", "abc"]),
        ("length(2,3)", ["ab", "abc"], ["a", "abcd"]),
        ("min(3)", ["3"], ["2", "x"]),
        ("max(3)", ["3", "-9"], ["4"]),
        ("range(2,4)", ["2", "4"], ["1", "5"]),
        ("regex([[a]])", ["[]", "a]"], ["b]", "a"]),
        (r"regex(^(a|b)\d{{2}}$)", ["a12", "B34"], ["c12", "a1"]),
        ("int:min(3):max(5)", ["4"], ["2", "6"]),
    ],
)
def test_a_constraint_lets_only_its_values_through(constraint: str, good: list[str], bad: list[str]) -> None:
    route = compile_route(f"a/{{p:{constraint}}}")

    assert [value for value in good if route.match(f"/a/{value}") is None] == []
    assert [value for value in bad if route.match(f"/a/{value}") is not None] == []


def test_constraints_go_with_optional_and_default_values() -> None:
    assert compile_route("a/{p:int?}").match("/a") == {}
    assert compile_route("a/{p:int?}").match("/a/x") is None
    assert compile_route("a/{p:int=5}").match("/a") == {"p": "5"}


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("api//x", "separator character '/' cannot appear consecutively"),
        ("a/{b", "incomplete parameter"),
        ("a/b}", "incomplete parameter"),
        ("a/{}", "route parameter name '' is invalid"),
        ("a/{b/c}", "route parameter name 'b/c' is invalid"),
        ("a/{b:nope}", "constraint reference 'nope' could not be resolved"),
        ("a/{b:min(x)}", r"constraint 'min\(x\)' is not valid"),
        ("a/{b:regex([)}", r"constraint 'regex\(\[\)' is not valid"),
        ("a/{b:regex(c{{99999999999}})}", "constraint 'regex.*' is not valid: the repetition number is too large"),
        ("a/{b:regex(" + "(" * 5_000 + ")" * 5_000 + ")}", "constraint 'regex.*' is not valid: maximum recursion"),
        ("a/{b" + ":c(d)" * 40 + "(}", "route parameter name .* is invalid"),
        ("a/{b\n}/x?", r"route 'a/\{b\\n\}/x\?' is not valid"),
        ("a/{b}/{B}", "name 'b' appears more than one time"),
        ("a/{*b}/c", "catch-all parameter can only appear as the last segment"),
        ("a/{*b?}", "catch-all parameter cannot be marked optional"),
        ("a/{b=c?}", "cannot be optional and have a default value"),
        ("a/x{b?}", "must stand alone"),
        ("a/{b}{c}", "two consecutive parameters"),
        ("a/b?", r"cannot contain the '\?' character"),
    ],
)
def test_a_bad_template_is_refused(template: str, problem: str) -> None:
    with pytest.raises(AppError, match=problem):
        compile_route(template)
