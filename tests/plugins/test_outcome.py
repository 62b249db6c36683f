from datetime import timedelta

import pytest
from multidict import CIMultiDict

from alertagent.plugins.outcome import Refused, RetryAfter, failure, object_of, retry_after, seconds

DATE = "Sun, 22 Nov 2026 14:40:00 GMT"


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_a_success_is_not_decided_by_its_status(status: int) -> None:
    assert failure(status, {}, b"") is None


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 529])
def test_overload_and_faults_are_repeated(status: int) -> None:
    assert failure(status, {}, b"busy") == RetryAfter(code=f"http.{status}", text="busy")


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 401, 403, 404, 408, 413, 422])
def test_redirects_and_other_client_errors_are_final(status: int) -> None:
    assert failure(status, {}, b"") == Refused(code=f"http.{status}", text=f"HTTP status {status}")


def test_a_receiver_that_is_gone_says_so() -> None:
    assert failure(410, {}, b"bye") == Refused(code="http.410", text="bye", gone=True)


@pytest.mark.parametrize(
    ("value", "wait"),
    [
        ("120", timedelta(minutes=2)),
        ("0", timedelta()),
        (" 5 ", timedelta(seconds=5)),
        ("99999999999999999999", timedelta(days=1)),
        ("Sun, 22 Nov 2026 14:42:00 GMT", timedelta(minutes=2)),
        ("Sun, 22 Nov 2026 14:00:00 GMT", timedelta()),
        ("Sun, 22 Nov 2099 14:00:00 GMT", timedelta(days=1)),
        ("Sun, 22 Nov 2026 14:42:00 -0000", None),
        ("-5", None),
        ("1.5", None),
        ("²", None),
        ("soon", None),
        ("Sun, 22 Nov 99999999999999999999 14:42:00 GMT", None),
        ("Sun, 22 Nov 2026 14:42:00 +99999999999999999999", None),
        ("", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_moment(value: str, wait: timedelta | None) -> None:
    assert retry_after(CIMultiDict({"retry-after": value, "date": DATE})) == wait


def test_a_moment_without_the_answers_own_date_says_nothing() -> None:
    assert retry_after({"Retry-After": "Sun, 22 Nov 2026 14:42:00 GMT"}) is None


def test_the_text_of_a_failure_is_short_and_printable() -> None:
    failed = failure(500, {}, b"\x1b[31m" + b"x" * 10_000)

    assert failed is not None
    assert len(failed.text.encode()) <= 500
    assert failed.text.isprintable()


@pytest.mark.parametrize(
    ("value", "wait"),
    [
        (34, timedelta(seconds=34)),
        (1.5, timedelta(seconds=1.5)),
        (0, timedelta()),
        (1e300, timedelta(days=1)),
        (10**400, timedelta(days=1)),
        (float("nan"), None),
        (-1, None),
        (True, None),
        ("34", None),
        (None, None),
    ],
)
def test_a_pause_inside_a_body_is_a_number_of_seconds(value: object, wait: timedelta | None) -> None:
    assert seconds(value) == wait


@pytest.mark.parametrize("body", [b"", b"ok", b"[]", b"null", b"\xff", b'{"a":'])
def test_an_answer_that_is_no_object_has_no_fields(body: bytes) -> None:
    assert object_of(body) == {}
