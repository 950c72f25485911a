import re
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from E3_Monitor.monitoring_request import InvalidRequest, MonitoringRequest, parse_input

REQUEST = {"repo": "octo/cat", "phone": "+14255550123"}
STATUS = {
    "checks": 12,
    "lastCheck": "2026-11-24T11:00:00.250000+00:00",
    "openIssues": "not too many",
    "nextCheck": "2026-11-24T11:01:00+00:00",
    "expires": "2026-11-24T12:00:00+00:00",
}


def test_what_a_request_leaves_out_has_the_sample_s_values() -> None:
    request = MonitoringRequest.parse(REQUEST)

    assert request == MonitoringRequest("octo/cat", "+14255550123", 3, 60, 300)


def test_each_field_can_be_given() -> None:
    given = {**REQUEST, "threshold": 0, "interval_seconds": 1, "expiry_seconds": 2_592_000}

    request = MonitoringRequest.parse(given)

    assert request == MonitoringRequest("octo/cat", "+14255550123", 0, 1, 2_592_000)


@pytest.mark.parametrize("given", [None, [], "octo/cat", 5, True])
def test_what_is_no_object_is_refused_as_a_whole(given: object) -> None:
    with pytest.raises(InvalidRequest, match="expected an object such as") as refused:
        MonitoringRequest.parse(given)

    assert refused.value.field is None


@pytest.mark.parametrize("field", ["repo", "phone"])
def test_a_missing_field_is_named(field: str) -> None:
    given = {name: value for name, value in REQUEST.items() if name != field}

    with pytest.raises(InvalidRequest, match=f"^{field} is missing: it must be ") as refused:
        MonitoringRequest.parse(given)

    assert refused.value.field == field


@pytest.mark.parametrize("field", ["treshold", "status", "Repo", ""])
def test_an_unknown_field_is_named_with_those_that_there_are(field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        MonitoringRequest.parse({**REQUEST, field: 5})

    assert refused.value.field == field
    assert str(refused.value) == (
        f"unknown field {field!r}: expected repo, phone, threshold, interval_seconds, expiry_seconds"
    )


def test_an_unknown_field_that_is_a_phone_number_is_not_repeated() -> None:
    with pytest.raises(InvalidRequest, match=r"^unknown field '\+\*{11}': expected repo, "):
        MonitoringRequest.parse({**REQUEST, "+14255550123": "octo/cat"})


@pytest.mark.parametrize(
    "repo",
    [
        "a/b",
        "Octo-Cat/.github",
        "octo_acme/cat",
        "0/-",
        "kept-/cat",
        "-lead-/cat",
        "dou--ble/cat",
        "octo.org/..cat",
        "octo/cat.git",
        f"{'o' * 100}/{'c' * 100}",
        "octo/c..t",
        "octo/git",
    ],
)
def test_github_s_names_are_taken(repo: str) -> None:
    request = MonitoringRequest.parse({**REQUEST, "repo": repo})

    assert request.repo == repo


@pytest.mark.parametrize(
    "repo",
    [
        "",
        "cat",
        "/cat",
        "octo/",
        "octo/cat/",
        "octo/cat/issues",
        "https://github.com/octo/cat",
        "git@github.com:octo/cat.git",
        "./cat",
        "../user",
        f"{'o' * 101}/cat",
        f"octo/{'c' * 101}",
        "octo/.",
        "octo/..",
        "octo/c t",
        "octo/cat\n",
        "octo/cat\r\nBcc: +1900",
        "octo/c\0at",
        "octo/cat\u2028",
        "octo/ĉat",
        "octo/\ud800",
        "octo?x=1/cat",
        None,
        5,
        ["octo", "cat"],
    ],
)
def test_what_github_does_not_allow_as_a_name_is_refused(repo: object) -> None:
    with pytest.raises(InvalidRequest, match=r'^repo must be "owner/name"') as refused:
        MonitoringRequest.parse({**REQUEST, "repo": repo})

    assert refused.value.field == "repo"


@settings(max_examples=100, deadline=None)
@example("octo/cat").via("the usual one")
@example("github.com/evil.example")
@example("a@evil.example/x")
@example("evil.example#/x")
@example("x/..")
@example("o/%0aHello")
@example("o/x?u=//evil.example")
@given(
    st.text(max_size=60)
    | st.from_regex(r"[A-Za-z0-9_-]{1,40}/[A-Za-z0-9._-]{1,101}", fullmatch=True)
    | st.from_regex(r"\A[a-z@:#?%./\\-]{1,20}/[a-z@:#?%./\\-]{1,20}\Z")
)
def test_a_repository_is_all_that_a_caller_may_put_into_the_text(repo: str) -> None:
    try:
        request = MonitoringRequest.parse({"repo": repo, "phone": "+14255550100"})
    except InvalidRequest:
        return

    url = urlsplit(f"https://github.com/{request.repo}/issues")
    assert (url.hostname, url.username, url.query, url.fragment) == ("github.com", None, "", "")
    assert url.path == f"/{repo}/issues"
    # GitHub knows no owner with a dot in it, so no text begins with another site's name.
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,100}/[A-Za-z0-9._-]{1,100}", repo)
    assert not {".", ".."} & set(repo.split("/"))


@pytest.mark.parametrize("phone", ["+12", "+491701234567", "+123456789012345"])
def test_an_e164_number_is_taken(phone: str) -> None:
    request = MonitoringRequest.parse({**REQUEST, "phone": phone})

    assert request.phone == phone


@pytest.mark.parametrize(
    "phone",
    [
        *("", "+", "+0", "+1", "0", "911", "12345", "14255550123", "0014255550123", "++14255550123"),
        "+04255550123",
        *("+1 425 555 0123", "+1-425-555-0123", "+1(425)5550123", " +14255550123", "+14255550123 ", "+1e10"),
        *("+14255550123\n", "+14255550123\r\n+19005550123", "+14255550123,+19005550123", "+14255550123;ext=900"),
        *("+14255550123x900", "+14255550123\0", "+14255550123%00", "+14255550123/../+1900", "*", "+*"),
        *("+1425555012\u0663", "+\u0661\u0664255550123", "+\uff11\uff14255550123", "+14255550123\u200b"),
        *("\u202e+14255550123", "tel:+14255550123", "whatsapp:+14255550123", "client:x", "SAM", "MG" + "0" * 32),
        *("+1234567890123456", "+" + "1" * 16),
        *(None, 14255550123, 1.4e10, True, ["+14255550123"], {"to": "+14255550123"}),
    ],
)
def test_another_way_to_write_a_number_is_refused_without_showing_it(phone: object) -> None:
    with pytest.raises(InvalidRequest, match=r'^phone must be E\.164: "\+", country code') as refused:
        MonitoringRequest.parse({**REQUEST, "phone": phone})

    assert refused.value.field == "phone"
    assert "425555012" not in str(refused.value).replace("+14255550123", "")


@pytest.mark.parametrize(
    ("field", "limits", "values"),
    [
        (
            "threshold",
            "from 0 to 1000",
            [-1, 1001, 10**4_000, "3", "3\r\nx", "\u0663", True, None, [3], {"a": 3}, 3.0, 3.5, float("inf")],
        ),
        ("interval_seconds", "from 1 to 86400", [0, 86_401, False]),
        ("expiry_seconds", "from 1 to 2592000", [0, 2_592_001, {}]),
    ],
)
def test_a_wrong_number_is_refused_with_its_limits(field: str, limits: str, values: list[object]) -> None:
    for value in values:
        with pytest.raises(InvalidRequest) as refused:
            MonitoringRequest.parse({**REQUEST, field: value})

        assert refused.value.field == field
        assert str(refused.value) == f"{field} must be a whole number {limits}"


def test_the_first_input_of_a_monitor_is_a_bare_request() -> None:
    assert parse_input(REQUEST) == (MonitoringRequest.parse(REQUEST), None)


@pytest.mark.parametrize(
    "given", [{"request": REQUEST, "progress": STATUS}, {**REQUEST, "status": STATUS}], ids=["now", "earlier"]
)
def test_what_continue_as_new_hands_over_is_a_request_and_its_progress(given: Any) -> None:
    assert parse_input(given) == (MonitoringRequest.parse(REQUEST), STATUS)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"progress": STATUS}, "progress"),
        ({"request": REQUEST}, "request"),
        ({"status": None}, "status"),
        ({"status": "new"}, "status"),
        ({"status": {}}, "status"),
        ({"status": {**STATUS, "checks": "12"}}, "status"),
        ({"status": {**STATUS, "nextCheck": None}}, "status"),
        ({"status": {name: value for name, value in STATUS.items() if name != "expires"}}, "status"),
    ],
)
def test_what_no_monitor_handed_over_is_an_unknown_field(change: Any, field: str) -> None:
    with pytest.raises(InvalidRequest, match=f"^unknown field '{field}': expected repo, phone"):
        parse_input({**REQUEST, **change})
