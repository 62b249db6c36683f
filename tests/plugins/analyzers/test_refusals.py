from datetime import timedelta

import pytest

from alertagent.kernel.errors import External, Permanent, RateLimited
from alertagent.plugins.analyzers.refusals import COME_BACK, by_status, redacted, words


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (301, Permanent),
        (400, Permanent),
        (401, Permanent),
        (404, Permanent),
        (408, External),
        (425, External),
        (429, RateLimited),
        (500, External),
        (529, External),
    ],
)
def test_a_status_says_whether_to_come_back(status: int, kind: type[Exception]) -> None:
    assert type(by_status(status, {}, "no", code="")) is kind


def test_who_is_busy_says_when_or_is_asked_again_soon() -> None:
    told, untold = by_status(429, {"Retry-After": "90"}, "no", code=""), by_status(429, {}, "no", code="")

    assert isinstance(told, RateLimited)
    assert isinstance(untold, RateLimited)
    assert (told.retry_after, untold.retry_after) == (timedelta(seconds=90), COME_BACK)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"message": "no\\nway"}', "no way"),
        (b'{"error": {"message": "no"}}', "no"),
        (b'{"error": "no"}', "no"),
        (b'{"stacktrace": "/usr/lib/secret.js"}', "HTTP status 500"),
        (b"<html>no</html>", "<html>no</html>"),
        (b"", "HTTP status 500"),
        (b'{"message": {"a": 1}}', "HTTP status 500"),
    ],
)
def test_the_providers_own_words_are_shown_and_no_stack_traces(body: bytes, said: str) -> None:
    assert words(500, body) == said


def test_a_credential_that_is_repeated_is_not_shown() -> None:
    assert words(401, b'{"message": "bad key sk-12345"}', ("sk-12345",)) == "bad key ***"
    assert redacted("a b", ("a",)) == "a b"
