from datetime import timedelta

import pytest

from alertagent.plugins.notifiers.replies import code_of, judged
from alertagent.plugins.outcome import Ambiguous, Delivered, Outcome, Refused, RetryAfter


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"code":0}', 0),
        (b'{"StatusCode":0}', 0),
        (b'{"code":0,"StatusCode":0}', 0),
        (b'{"code":0,"StatusCode":7}', 7),
        (b'{"code":7,"StatusCode":0}', 7),
        (b'{"code":-1}', -1),
        (b'{"code":"0"}', None),
        (b'{"code":false}', None),
        (b'{"code":null,"StatusCode":3}', 3),
        (b'{"code":0.0}', None),
        (b'{"msg":"ok"}', None),
        (b"[0]", None),
        (b"ok", None),
        (b"", None),
        (b"\xff", None),
    ],
)
def test_the_code_of_an_answer_is_a_whole_number(body: bytes, code: int | None) -> None:
    assert code_of(body, "code", "StatusCode") == code


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (200, b'{"code":0}', Delivered(code="0", text='{"code":0}')),
        (200, b'{"code":1}', Refused(code="1", text='{"code":1}')),
        (200, b'{"code":3}', RetryAfter(code="3", text='{"code":3}')),
        (
            200,
            b'{"code":2}',
            RetryAfter(after=timedelta(minutes=1), code="2", text='{"code":2}', pause_channel=True),
        ),
        (200, b"hello", Ambiguous(code="http.200", text="the answer has no code: hello")),
        (400, b'{"code":0}', Refused(code="http.400", text='{"code":0}')),
        (500, b"", RetryAfter(code="http.500", text="HTTP status 500")),
    ],
)
def test_an_answer_is_judged_by_its_status_and_then_by_its_code(status: int, body: bytes, outcome: Outcome) -> None:
    assert judged(status, {}, body, "code", permanent={1}, blocked={2: timedelta(minutes=1)}) == outcome
