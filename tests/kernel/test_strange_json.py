"""Whatever it is, it is read or it is a ValueError."""

import pytest

from alertagent.kernel.strange_json import decoded


def test_json_is_read() -> None:
    assert decoded(b'{"a": [1, null]}') == {"a": [1, None]}


@pytest.mark.parametrize("text", [b"", b"{", b"\xff", b"[" * 100_000, b'{"a":' * 100_000, b"1" * 10_000])
def test_what_is_no_json_or_too_deep_is_a_value_error(text: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - it is json's own
        decoded(text)
