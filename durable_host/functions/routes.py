"""Routes of HTTP functions: ASP.NET's route templates, and whether a path fits one.

Not here: which function owns a route, and its methods (`function_json`).
"""

import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NoReturn
from urllib.parse import unquote

from durable_host.errors import AppError

Check = Callable[[str], bool]

# Literal text, `{{` or `}}` for a brace, or a parameter, whose constraints may hold doubled braces.
_PIECE = re.compile(r"\{\{|\}\}|\{((?:[^{}]|\{\{|\}\})*)\}(?!\}(?!\}))|[^{}]+")
_PARAMETER = re.compile(
    # Atomic, or a template that fits nothing takes twice as long with each constraint.
    r"(\**)([^:=?]*)((?>:[^:=()?]*(?:\(.*?\)(?=[:=?]|$))?)*)(?:=(.*?))?(\?)?",
    re.DOTALL,
)
_CONSTRAINT = re.compile(r":([^:=()?]*)(?:\((.*?)\)(?=[:=?]|$))?", re.DOTALL)
_NUMBER = r"[+-]?(?:[0-9][0-9,]*\.?[0-9]*|\.[0-9]+)"


@dataclass(frozen=True, slots=True)
class _Parameter:
    name: str
    default: str | None
    is_optional: bool
    is_catch_all: bool
    checks: tuple[Check, ...]

    @property
    def may_be_missing(self) -> bool:
        return self.is_optional or self.is_catch_all or self.default is not None


@dataclass(frozen=True, slots=True)
class _Segment:
    pattern: re.Pattern[str]
    parameters: tuple[_Parameter, ...]

    @property
    def may_be_missing(self) -> bool:
        # Only a parameter that stands alone can be left out with its slash.
        return self.pattern.pattern == "(.+)" and self.parameters[0].may_be_missing


@dataclass(frozen=True, slots=True)
class Route:
    """A compiled route template."""

    template: str
    segments: tuple[_Segment, ...]

    def match(self, path: str) -> dict[str, str] | None:
        """The route parameters of a request path, or None when the path does not fit.

        Shape: `path` is percent-encoded as sent; values are decoded, but for %2F. Literals match in any case.
        Source: ASP.NET Core 10, TemplateMatcher, as run for functions with the host's router.
        """
        parts = _split(path)
        values: dict[str, str] = {}
        for number, segment in enumerate(self.segments):
            if segment.parameters and segment.parameters[0].is_catch_all:
                rest = "/".join(parts[number:])
                values |= {segment.parameters[0].name: rest} if rest else {}
                parts = parts[:number]
                continue
            if number >= len(parts):
                if segment.may_be_missing:
                    continue
                return None
            found = segment.pattern.fullmatch(parts[number])
            if not found:
                return None
            values |= zip((p.name for p in segment.parameters), found.groups(), strict=True)
        return self._checked(values) if len(parts) <= len(self.segments) else None

    def _checked(self, values: dict[str, str]) -> dict[str, str] | None:
        for parameter in (p for segment in self.segments for p in segment.parameters):
            if parameter.default is not None:
                values.setdefault(parameter.name, parameter.default)
            value = values.get(parameter.name)
            if value is not None and not all(check(value) for check in parameter.checks):
                return None
        return values


def compile_route(template: str) -> Route:
    """Compiles `orchestrators/{functionName}/{instanceId?}` and the like.

    Raises: AppError, in ASP.NET's words where they help, for a template that would stop the real host too.
    Source: ASP.NET Core 10, RoutePatternParser and InlineRouteParameterParser.
    """

    def refuse(reason: str) -> NoReturn:
        raise AppError(f"The route '{template}' is not valid. {reason}")

    text = template.removeprefix("~").removeprefix("/").removesuffix("/")
    if "//" in text or text.startswith("/"):
        refuse(
            "The route template separator character '/' cannot appear consecutively. "
            "It must be separated by either a parameter or a literal value."
        )
    segments = tuple(_segment(source, refuse) for source in _segments(text))
    names = [p.name.lower() for segment in segments for p in segment.parameters]
    if any(p.is_catch_all for segment in segments[:-1] for p in segment.parameters):
        refuse("A catch-all parameter can only appear as the last segment of the route template.")
    if repeated := next((name for name in names if names.count(name) > 1), None):
        refuse(f"The route parameter name '{repeated}' appears more than one time in the route template.")
    return Route(template, segments)


def _split(path: str) -> list[str]:
    text = path.removeprefix("/").removesuffix("/")
    # Kestrel leaves %2F alone, so that a slash in a value cannot split a segment.
    return [unquote(re.sub(r"%(?=2[Ff])", "%25", part)) for part in text.split("/")] if text else []


def _segments(text: str) -> list[str]:
    """Splits at slashes outside braces (a regex constraint may hold one)."""
    segments, depth = [""] if text else [], 0
    for character in text:
        depth += (character == "{") - (character == "}")
        if character == "/" and depth <= 0:
            segments.append("")
        else:
            segments[-1] += character
    return segments


def _segment(source: str, refuse: Callable[[str], NoReturn]) -> _Segment:
    pattern, parameters, position = "", list[_Parameter](), 0
    while position < len(source):
        piece = _PIECE.match(source, position)
        if piece is None:
            refuse(
                "There is an incomplete parameter in the route template. "
                "Check that each '{' character has a matching '}' character."
            )
        if piece[1] is None:
            literal = {"{{": "{", "}}": "}"}.get(piece[0], piece[0])
            if "?" in literal:
                refuse(f"The literal section '{literal}' is invalid. It cannot contain the '?' character.")
            pattern += re.escape(literal)
        else:
            if pattern.endswith("(.+)"):
                refuse("A path segment cannot contain two consecutive parameters.")
            parameters.append(_parameter(piece[1].replace("{{", "{").replace("}}", "}"), refuse))
            pattern += "(.+)"
        position = piece.end()
    is_alone = pattern == "(.+)"
    if not is_alone and any(p.is_catch_all or p.is_optional for p in parameters):
        refuse(f"In the segment '{source}', an optional or catch-all parameter must stand alone.")
    return _Segment(re.compile(pattern, re.IGNORECASE | re.DOTALL), tuple(parameters))


def _parameter(source: str, refuse: Callable[[str], NoReturn]) -> _Parameter:
    match = _PARAMETER.fullmatch(source)
    if match is None or len(match[1]) > 2 or not match[2] or re.search(r"[/{}*]", match[2]):
        refuse(f"The route parameter name '{source}' is invalid.")
    stars, name, constraints, default, optional = match.groups()
    if default is not None and optional:
        refuse(f"The parameter '{name}' cannot be optional and have a default value.")
    if stars and optional:
        refuse("A catch-all parameter cannot be marked optional.")
    checks = tuple(_check(kind, argument, refuse) for kind, argument in _CONSTRAINT.findall(constraints))
    return _Parameter(name, default, bool(optional), bool(stars), checks)


def _check(kind: str, argument: str, refuse: Callable[[str], NoReturn]) -> Check:
    make = _CONSTRAINTS.get(kind.lower())
    if make is None:
        refuse(f"The constraint reference '{kind}' could not be resolved; known are {', '.join(_CONSTRAINTS)}.")
    try:
        return make(argument)
    except (ValueError, re.error, OverflowError, RecursionError) as error:
        refuse(f"The constraint '{kind}({argument})' is not valid: {error}.")


def _whole(bits: int) -> Callable[[str], Check]:
    return lambda _: _between(_integer, -(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def _integer(text: str) -> int:
    # int() alone would take 1_000 and digits of other scripts.
    if not re.fullmatch(r"\s*[+-]?[0-9]{1,20}\s*", text):
        raise ValueError(f"{text!r} is not a whole number")
    return int(text)


def _like(pattern: str) -> Callable[[str], Check]:
    compiled = re.compile(pattern, re.IGNORECASE)
    return lambda _: lambda value: compiled.fullmatch(value) is not None


def _between(measure: Callable[[str], int], low: int, high: int) -> Check:
    def check(value: str) -> bool:
        try:
            return low <= measure(value) <= high
        except ValueError:
            return False

    return check


def _length(argument: str) -> Check:
    low, _, high = argument.partition(",")
    return _between(len, _integer(low), _integer(high or low))


def _range(argument: str) -> Check:
    low, _, high = argument.partition(",")
    return _between(_integer, _integer(low), _integer(high))


def _regex(argument: str) -> Check:
    with warnings.catch_warnings(action="ignore"):  # Of what a later Python will read otherwise.
        compiled = re.compile(argument, re.IGNORECASE)
    return lambda value: compiled.search(value) is not None


_LIMIT = 2**63
_CONSTRAINTS: Mapping[str, Callable[[str], Check]] = {
    "int": _whole(32),
    "long": _whole(64),
    "bool": _like("true|false"),
    # Of the many forms that .NET reads as a date, the ISO ones and month-day-year.
    "datetime": _like(r"\d{4}-\d\d?-\d\d?([T ]\d\d?:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?|\d\d?-\d\d?-\d{4}"),
    "decimal": _like(_NUMBER),
    "double": _like(_NUMBER + r"(?:e[+-]?[0-9]+)?"),
    "float": _like(_NUMBER + r"(?:e[+-]?[0-9]+)?"),
    "guid": _like(r"[0-9a-f]{32}|(?P<open>[{(])?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(?(open)[})])"),
    "alpha": _like("[a-z]*"),
    "required": lambda _: bool,
    "minlength": lambda argument: _between(len, _integer(argument), _LIMIT),
    "maxlength": lambda argument: _between(len, 0, _integer(argument)),
    "length": _length,
    "min": lambda argument: _between(_integer, _integer(argument), _LIMIT),
    "max": lambda argument: _between(_integer, -_LIMIT, _integer(argument)),
    "range": _range,
    "regex": _regex,
}
