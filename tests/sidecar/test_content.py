"""The text of a configuration says which templates belong to it."""

import pytest

from alertagent.sidecar.content import Content, directories_in, is_template_name, is_template_path
from alertagent.sidecar.model import digest

A, B = "alertagent-templates/00000000000000aa", "alertagent-templates/00000000000000bb"


def test_without_templates_the_digest_is_the_files_own() -> None:
    assert Content(b"groups: []\n").digest == digest(b"groups: []\n")


@pytest.mark.parametrize(
    "other",
    [
        Content(b"main", {f"{A}/x": b"1"}),
        Content(b"main", {f"{A}/x": b"2", f"{A}/y": b""}),
        Content(b"main", {f"{B}/x": b"2"}),
        Content(b"niam", {f"{A}/x": b"2"}),
        Content(b"main"),
    ],
)
def test_whatever_differs_shows_in_the_digest(other: Content) -> None:
    assert other.digest != Content(b"main", {f"{A}/x": b"2"}).digest


def test_the_order_of_templates_does_not_matter() -> None:
    one, two = {f"{A}/x": b"1", f"{A}/y": b"2"}, {f"{A}/y": b"2", f"{A}/x": b"1"}

    assert Content(b"main", one).digest == Content(b"main", two).digest


def test_directories_are_found_where_they_are_named() -> None:
    main = f"templates: ['{A}/x.tmpl', \"{B}/*.tmpl\"]\n# alertagent-templates/short/x\n".encode()

    assert directories_in(main) == {A, B}


@pytest.mark.parametrize(
    ("named", "missing"),
    [
        (f"{A}/x.tmpl", ()),
        (f"{A}/*.tmpl", ()),
        (f"{A}/[w-y].tmpl", ()),
        (f"{A}/y.tmpl", (f"{A}/y.tmpl",)),
        (f"{B}/*", (f"{B}/*",)),
    ],
)
def test_what_is_named_and_did_not_come_is_missing(named: str, missing: tuple[str, ...]) -> None:
    assert Content(f"templates: ['{named}', '/elsewhere/*.tmpl']\n".encode(), {f"{A}/x.tmpl": b""}).missing == missing


@pytest.mark.parametrize("listed", ["[{}]", "[{}, /etc/own.tmpl]", "['{}' ]", "\n- {}\n"])
def test_the_list_that_names_a_template_is_no_part_of_its_name(listed: str) -> None:
    main = "templates: " + listed.format(f"{A}/x.tmpl")

    assert Content(main.encode(), {f"{A}/x.tmpl": b""}).missing == ()
    assert Content(main.encode()).missing == (f"{A}/x.tmpl",)


@pytest.mark.parametrize("name", ["x.tmpl", "a", "A" * 100, "0-b_c.d"])
def test_names_of_templates(name: str) -> None:
    assert is_template_name(name)
    assert is_template_path(f"{A}/{name}")


@pytest.mark.parametrize("name", ["", ".x", "..", "-x", "A" * 101, "a/b", "a b", "a\n", "中.tmpl"])
def test_no_names_of_templates(name: str) -> None:
    assert not is_template_name(name)
    assert not is_template_path(f"{A}/{name}")
