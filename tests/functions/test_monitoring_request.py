from datetime import UTC, datetime
from typing import Any

import pytest

from E3_Monitor.monitoring_request import InvalidRequest, MonitoringRequest, parse_status, quiet_status

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
    with pytest.raises(InvalidRequest, match="expected a JSON object such as") as refused:
        MonitoringRequest.parse(given)

    assert refused.value.field is None


@pytest.mark.parametrize("field", ["repo", "phone"])
def test_a_missing_field_is_named(field: str) -> None:
    given = {name: value for name, value in REQUEST.items() if name != field}

    with pytest.raises(InvalidRequest, match=f"^{field} is missing$") as refused:
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
        f"{'o' * 39}/{'c' * 100}",
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
        "-octo/cat",
        "octo-/cat",
        "oc--to/cat",
        "octo.org/cat",
        f"{'o' * 40}/cat",
        f"octo/{'c' * 101}",
        "octo/.",
        "octo/..",
        "octo/cat.git",
        "octo/cat.wiki",
        "octo/c t",
        "octo/cat\n",
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


@pytest.mark.parametrize(
    "url",
    [
        "https://github.com/octo/cat",
        "http://www.github.com/octo/cat/",
        "https://github.com/octo/cat.git",
        "https://github.com/octo/cat/issues?q=is%3Aopen",
        "https://github.com/octo/cat#readme",
        "github.com/octo/cat",
        "git@github.com:octo/cat.git",
        "ssh://git@github.com/octo/cat.git",
    ],
)
def test_a_repository_given_as_a_url_is_refused_with_its_name(url: str) -> None:
    with pytest.raises(InvalidRequest, match=r'^repo must be "owner/name", not a URL: send "octo/cat"$'):
        MonitoringRequest.parse({**REQUEST, "repo": url})


@pytest.mark.parametrize("url", ["https://github.com/octo", "https://github.com/oc--to/cat", "https://x.org/o/c"])
def test_a_url_of_no_repository_is_refused_without_a_name(url: str) -> None:
    with pytest.raises(InvalidRequest, match=r'as GitHub allows it, such as "octo/cat"$'):
        MonitoringRequest.parse({**REQUEST, "repo": url})


@pytest.mark.parametrize("phone", ["+12", "+491701234567", "+123456789012345"])
def test_an_e164_number_is_taken(phone: str) -> None:
    request = MonitoringRequest.parse({**REQUEST, "phone": phone})

    assert request.phone == phone


@pytest.mark.parametrize(
    "phone",
    [
        "14255550123",
        "0014255550123",
        "+04255550123",
        "+1",
        "+1234567890123456",
        "+1 425 555 0123",
        "+1425555012\u0663",
        "+14255550123\n",
        "",
        None,
        14255550123,
    ],
)
def test_another_way_to_write_a_number_is_refused_without_showing_it(phone: object) -> None:
    with pytest.raises(InvalidRequest, match=r'^phone must be a "\+", the country code') as refused:
        MonitoringRequest.parse({**REQUEST, "phone": phone})

    assert refused.value.field == "phone"
    assert "425555012" not in str(refused.value).replace("+14255550123", "")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("threshold", -1, "threshold must be a whole number of at least 0, found -1"),
        ("threshold", "3", "threshold must be a whole number of at least 0, found a string"),
        ("threshold", True, "threshold must be a whole number of at least 0, found true or false"),
        ("threshold", None, "threshold must be a whole number of at least 0, found null"),
        ("threshold", [3], "threshold must be a whole number of at least 0, found a list"),
        ("threshold", 3.0, "threshold must be a whole number of at least 0, found 3.0"),
        ("threshold", 3.5, "threshold must be a whole number of at least 0, found 3.5"),
        ("threshold", float("inf"), "threshold must be a whole number of at least 0, found inf"),
        ("interval_seconds", 0, "interval_seconds must be a whole number from 1 to 86400, found 0"),
        ("interval_seconds", 86_401, "interval_seconds must be a whole number from 1 to 86400, found 86401"),
        ("expiry_seconds", 0, "expiry_seconds must be a whole number from 1 to 2592000, found 0"),
        ("expiry_seconds", 2_592_001, "expiry_seconds must be a whole number from 1 to 2592000, found 2592001"),
        ("expiry_seconds", {}, "expiry_seconds must be a whole number from 1 to 2592000, found an object"),
    ],
)
def test_a_wrong_number_is_refused_with_its_limits(field: str, value: object, message: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        MonitoringRequest.parse({**REQUEST, field: value})

    assert refused.value.field == field
    assert str(refused.value) == message


@pytest.mark.parametrize(("too_many", "error"), [(False, None), (None, None), (None, "E3_X failed")])
def test_a_status_that_a_monitor_wrote_is_read_back(too_many: bool | None, error: str | None) -> None:
    checked_at, next_at, expires_at = (datetime(2026, 11, 24, hour, 0, 0, 1, UTC) for hour in (1, 2, 3))

    status = quiet_status(7, checked_at, too_many, error, next_at, expires_at)

    assert parse_status(status) == (7, next_at, expires_at)
    assert status["openIssues"] == ("unknown" if too_many is None else "not too many")
    assert status.get("lastError") == error


@pytest.mark.parametrize(
    "status",
    [
        {},
        [],
        "running",
        5,
        {**STATUS, "checks": "12"},
        {**STATUS, "checks": True},
        {**STATUS, "nextCheck": None},
        {**STATUS, "nextCheck": "soon"},
        {**STATUS, "expires": "2026-11-24T12:00:00"},
        {**STATUS, "expires": "2026-11-24T12:00:00+02:00"},
        {name: value for name, value in STATUS.items() if name != "expires"},
    ],
)
def test_a_status_that_no_monitor_wrote_is_refused(status: Any) -> None:
    with pytest.raises(InvalidRequest, match="leave it out") as refused:
        parse_status(status)

    assert refused.value.field == "status"
