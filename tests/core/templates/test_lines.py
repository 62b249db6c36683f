"""What makes a line what it is, and that no value can."""

import pytest

from alertagent.core.templates.lines import MAX_LINE, MAX_LINES, lines_of, title_of
from alertagent.core.templates.sandbox import CLOSE, OPEN
from alertagent.kernel.message import Kind, Line


def value(text: str) -> str:
    return f"{OPEN}{text}{CLOSE}"


def text(said: str) -> Line:
    return Line(kind=Kind.TEXT, text=said)


def link(said: str, url: str) -> Line:
    return Line(kind=Kind.LINK, text=said, url=url)


URL = "https://aa.example/alerts/1?x=y"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("", []),
        ("  \n\n \t\n", []),
        ("one\n\ntwo", [text("one"), text("two")]),
        ("# Head", [Line(kind=Kind.HEADING, text="Head")]),
        ("### Head " + value("x"), [Line(kind=Kind.HEADING, text="Head x")]),
        ("#Head", [text("#Head")]),
        ("- item\n* item\n+ item", [Line(kind=Kind.ITEM, text="item")] * 3),
        ("-5 degrees", [text("-5 degrees")]),
        ("**Name:** " + value("x"), [Line(kind=Kind.FACT, name="Name", text="x")]),
        ("**名称**：" + value("x"), [Line(kind=Kind.FACT, name="名称", text="x")]),
        ("- **Name**: x: y", [Line(kind=Kind.FACT, name="Name", text="x: y")]),
        ("**" + value("a**: b") + ":** c", [Line(kind=Kind.FACT, name="a**: b", text="c")]),
        ("**Name:**", [Line(kind=Kind.FACT, name="Name", text="")]),
        ("it is **very** bad", [text("it is very bad")]),
        ("**very** bad", [text("very bad")]),
        ("2 ** 3", [text("2 3")]),
        (f"[See]({URL})", [link("See", URL)]),
        (f"[See]({value(URL)})", [link("See", URL)]),
        (f"- [{value('a](b')}]({value(URL)})", [link("a](b", URL)]),
        (f"[A]({URL}) | [B]({URL}b)", [link("A", URL), link("B", f"{URL}b")]),
        (f"[]({URL})", [link(URL, URL)]),
        ("[Silence]()", []),
        (f"[Silence]({value('')})", []),
        (f"[A]() · [B]({URL})", [link("B", URL)]),
        ("[x](javascript:alert)", [text("x")]),
        (f"[x]({value('javascript:alert(1)')})", [text("x")]),
        (f"see [x]({URL})", [text(f"see [x]({URL})")]),
        (value("a\nb\r\nc"), [text("a"), text("b"), text("c")]),
        ("- " + value("a\n- b"), [Line(kind=Kind.ITEM, text="a"), text("- b")]),
    ],
)
def test_the_marks_of_the_author_make_lines(written: str, expected: list[Line]) -> None:
    assert list(lines_of(written)) == expected


@pytest.mark.parametrize(
    "hostile",
    [
        "# head",
        "- item",
        "* item",
        "**name:** x",
        f"[x]({URL})",
        "[x](http://evil)",
        "{{7*7}}",
        "@all",
        "<script>",
        "](",
    ],
)
def test_a_value_is_text_whatever_it_looks_like(hostile: str) -> None:
    assert lines_of(value(hostile)) == (text(hostile),)
    assert lines_of(f"so: {value(hostile)}") == (text(f"so: {hostile}"),)
    assert lines_of(f"a\n{value(f'b{chr(10)}{hostile}')}") == (text("a"), text("b"), text(hostile))


def test_no_value_completes_a_mark() -> None:
    assert lines_of(f"[x{value('](http://evil)')}") == (text("[x](http://evil)"),)
    assert lines_of(f"*{value('*a:**')} b") == (text("**a:** b"),)
    assert lines_of(f"#{value(' a')}") == (text("# a"),)


def test_there_is_an_end_to_lines() -> None:
    lines = lines_of("a\n" * (MAX_LINES + 1))
    (long,) = lines_of("告" * MAX_LINE)

    assert len(lines) == MAX_LINES
    assert len(long.text.encode()) <= MAX_LINE
    assert long.text.endswith("告…")


def test_a_title_is_one_plain_line() -> None:
    assert title_of(f" a\n{value('b')} \x1b[31m\u202e") == "a b [31m"
    assert len(title_of("告" * 1000).encode()) <= 1000
