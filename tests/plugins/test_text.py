import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertagent.plugins.text import cut, json_size, one_line, printable, utf16_size


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, 中文", "plain text, 中文"),
        ("\x1b[31mred\x1b[0m", "[31mred[0m"),
        ("a\x00b\x7fc\x9bd", "abcd"),
        ("safe\u202etxt.exe", "safetxt.exe"),
        ("lone \ud800 surrogate", "lone  surrogate"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("👩‍👩‍👧 stays one", "👩‍👩‍👧 stays one"),
    ],
)
def test_what_a_terminal_or_chat_would_obey_is_taken_out(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_one_line_has_no_breaks() -> None:
    assert one_line(" a\r\n b\t\tc \u2028") == "a b c"


@given(st.text(alphabet=st.sampled_from(" \t\n\x00\x1b\xa0\u2003\u2028\u202e\ud800a磁盘🔥")))
def test_one_line_is_printable_words_with_one_blank_between(text: str) -> None:
    assert one_line(text) == " ".join(printable(text).split())


@pytest.mark.parametrize(
    ("text", "limit", "short"),
    [
        ("abc", 3, "abc"),
        ("abcdef", 5, "ab…"),
        ("严重告警", 12, "严重告警"),
        ("严重告警", 11, "严重…"),
        ("😀😀😀", 8, "😀…"),
        ("abcdef", 2, "…"),
    ],
)
def test_a_cut_falls_between_characters(text: str, limit: int, short: str) -> None:
    assert cut(text, limit) == short


def test_a_cut_by_json_size_counts_escapes() -> None:
    short = cut("\n" * 100, 43, size=json_size)

    assert short == "\n" * 20 + "…"
    assert json_size(short) == 43


@pytest.mark.parametrize(("text", "size"), [("", 0), ("a", 1), ("告", 1), ("😀", 2), ("\ud800", 1)])
def test_the_size_in_utf16_counts_an_emoji_twice(text: str, size: int) -> None:
    assert utf16_size(text) == size
