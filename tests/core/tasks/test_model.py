import base64
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertagent.core.tasks.model import MAX_SHOWN, redacted, redacted_text, shown

CANARY = "CANARY-0123456789abcdef"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"alerts": ["a", "b"], "count": 1, "on": True, "no": None}, None),
        ({"secret": CANARY}, {"secret": "***"}),
        ({"headers": {"Authorization": CANARY, "Accept": "*"}}, {"headers": {"Authorization": "***", "Accept": "*"}}),
        ({"channels": [{"webhook_url": CANARY}]}, {"channels": [{"webhook_url": "***"}]}),
        ({"apiKey": [CANARY], "passwd": {"a": CANARY}}, {"apiKey": "***", "passwd": "***"}),
        ({"token": None, "password": ""}, None),
        ({"url": f"https://u:{CANARY}@h/x"}, {"url": "https://***@h/x"}),
    ],
)
def test_what_has_the_name_or_the_look_of_a_secret_is_masked(value: Any, expected: Any) -> None:
    assert redacted(value) == (value if expected is None else expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://oapi.dingtalk.com/robot/send?access_token=abc&sign=def", "?access_token=***&sign=***"),
        (f"Authorization: Bearer {CANARY}", "Authorization: Bearer ***"),
        (f"redis://:{CANARY}@h:6379/0 is away", "redis://***@h:6379/0 is away"),
        (f'{{"password": "{CANARY}", broken', '{"password": "***", broken'),
        ("aa_api_abcdefgh_abcdefghijklmnopqrstuvwxyz234567deadbeef!", "***!"),
        ("the design: a token is not exist (300001)", "the design: a token is not exist (300001)"),
    ],
)
def test_secrets_inside_of_texts_are_masked(text: str, expected: str) -> None:
    assert expected in redacted_text(text)
    assert CANARY not in redacted_text(text)


def test_an_envelope_without_secrets_is_shown_byte_for_byte() -> None:
    raw = b'{ "id":"1", "payload":{"alerts":["\xe5\x8c\x97"]}}'

    found = shown(raw)

    assert base64.b64decode(found.base64) == raw
    assert (found.text, found.size, found.redacted, found.cut) == (raw.decode(), len(raw), False, False)


def test_secrets_in_an_envelope_are_masked_in_both_forms() -> None:
    raw = orjson.dumps({"payload": {"token": CANARY, "note": f"https://x:{CANARY}@h"}})

    found = shown(raw)

    assert found.redacted
    assert found.size == len(raw)
    assert CANARY not in (found.text or "")
    assert CANARY.encode() not in base64.b64decode(found.base64)


def test_bytes_that_are_no_text_are_shown_as_they_are() -> None:
    raw = b"\xff\x00garbage"

    found = shown(raw)

    assert (base64.b64decode(found.base64), found.text, found.redacted) == (raw, None, False)


def test_of_very_much_the_beginning_is_shown() -> None:
    raw = "é".encode() * MAX_SHOWN

    found = shown(raw)

    assert (found.size, found.cut, len(base64.b64decode(found.base64))) == (len(raw), True, MAX_SHOWN)


def test_depth_is_no_way_to_crash_it() -> None:
    assert shown(b"[" * 900 + b"]" * 900).redacted
    assert shown(b"[" * 5000 + b"]" * 5000).text == "[" * 5000 + "]" * 5000


@given(st.binary(max_size=200))
def test_whatever_the_bytes_are_they_can_be_shown(raw: bytes) -> None:
    found = shown(raw)

    assert found.redacted or base64.b64decode(found.base64) == raw
