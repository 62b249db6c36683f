"""YAML from strangers: what is read, where it stands, and what is refused before it can harm."""

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from alertagent.kernel.yaml_guard import (
    BadYaml,
    Limits,
    Mapping,
    Mark,
    Node,
    Plain,
    Scalar,
    Sequence,
    data,
    find,
    key_place,
    load,
    place,
)

SAMPLE = """\
# a comment
groups:
- name: "é node"   # quoted
  rules:
  - alert: Down
    labels: {severity: page}
"""

texts = st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufeff\ufffe\uffff"))
trees = st.recursive(
    texts,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(texts.filter(lambda key: key != "<<"), inner, max_size=4)
    ),
    max_leaves=20,
)


def refusal(text: str, limits: Limits | None = None) -> tuple[str, int | None, int | None]:
    with pytest.raises(BadYaml) as caught:
        load(text, limits)
    detail = caught.value.detail
    return detail.message, detail.line, detail.column


def test_scalars_stay_texts_and_say_whether_they_were_quoted() -> None:
    found = data(load("{a: on, b: 'on', c: 012, d: ~, e: '', f: , g: !!str 5, h: null}"))

    assert found == {"a": "on", "b": "on", "c": "012", "d": None, "e": "", "f": None, "g": "5", "h": None}
    assert [isinstance(found[key], Plain) for key in "abcg"] == [True, False, True, False]


def test_an_alias_is_what_its_anchor_names() -> None:
    assert data(load("{a: &x [1, {b: 2}], c: *x}")) == {"a": ["1", {"b": "2"}], "c": ["1", {"b": "2"}]}


def test_a_name_may_be_anchored_again() -> None:
    assert data(load("[&x 1, *x, &x 2, *x]")) == ["1", "1", "2", "2"]


def test_a_merge_adds_what_is_not_there() -> None:
    text = "base: &base {a: 1, b: 1}\nmore: &more {b: 2, c: 2}\nall:\n  c: 3\n  <<: [*base, *more]\n"

    assert data(load(text))["all"] == {"c": "3", "a": "1", "b": "1"}


def test_a_quoted_merge_key_is_a_key() -> None:
    assert data(load('{"<<": {a: 1}}')) == {"<<": {"a": "1"}}


@pytest.mark.parametrize(
    ("loc", "line", "column"),
    [
        ((), 2, 1),
        (("groups",), 2, 1),
        (("groups", 0), 3, 3),
        (("groups", 0, "name"), 3, 9),
        (("groups", 0, "rules"), 4, 3),
        (("groups", 0, "rules", 0, "labels"), 6, 5),
        (("groups", 0, "rules", 0, "labels", "severity"), 6, 24),
        (("groups", 0, "rules", 7, "labels"), 4, 3),
        (("groups", 0, "name", "deeper"), 3, 9),
    ],
)
def test_every_path_has_a_place(loc: tuple[str | int, ...], line: int, column: int) -> None:
    assert place(load(SAMPLE), loc)[:2] == (line, column)


def test_a_key_has_a_place_too() -> None:
    assert key_place(load(SAMPLE), ("groups", 0, "rules", 0, "alert"))[:2] == (5, 5)


def test_what_is_not_there_is_not_found() -> None:
    tree = load(SAMPLE)

    assert find(tree, ("groups", 1)) is None
    assert find(tree, ("groups", "name")) is None
    assert find(tree, ("groups", 0, "name", 0)) is None


def test_offsets_cut_the_text_exactly_even_after_wide_characters() -> None:
    node = find(load(SAMPLE), ("groups", 0, "name"))

    assert isinstance(node, Scalar)
    assert SAMPLE[node.start.offset : node.end.offset] == '"é node"'


@pytest.mark.parametrize(
    ("text", "words", "line", "column"),
    [
        ("", "empty", 1, 1),
        ("# nothing\n", "empty", 1, 1),
        ("a: 1\n---\nb: 2\n", "second document", 2, 1),
        ("a: 1\nb: 2\na: 3\n", '"a" stands here a second time', 3, 1),
        ("a:\n  ? [x]\n  : 1\n", "key must be a text", 2, 5),
        ("a: *x\n", 'no anchor "x"', 1, 4),
        ("a: &x [1, *x]\n", "contain itself", 1, 11),
        ("a: !!python/object:os.system x\n", "tag", 1, 4),
        ("a: !mine {}\n", "tag", 1, 4),
        ("a:\n  <<: 1\n", "only a mapping", 2, 7),
        ("a: [1, 2\nb: 3\n", "did not find", 2, 2),
        ("a: b: c\n", "mapping values are not allowed", 1, 5),
        ("a:\n\t- x\n", "cannot start any token", 2, 1),
        ('a: "\\0"\n', "U+0000", 1, 4),
        ("é: \x01\n", "control characters", 1, 4),
        ("a: \ud800\n", "surrogate", 1, 4),
        ("\ufeffa: 1\n", "byte order mark", 1, 1),
        ("%YAML 9.9\n---\na: 1\n", "incompatible YAML document", 1, 1),
    ],
)
def test_what_is_not_one_clean_document_is_refused_with_its_place(
    text: str, words: str, line: int, column: int
) -> None:
    message, *found = refusal(text)

    assert words in message
    assert found == [line, column]


@pytest.mark.parametrize("opening", ["[", "- ", "{a: ", "? ", "[{a: "])
def test_depth_is_limited_long_before_a_stack_is(opening: str) -> None:
    assert "nested more than 64 deep" in refusal(opening * 100_000)[0]


def test_an_alias_counts_as_deep_as_what_it_stands_for() -> None:
    deep = "a: &a [[[[1]]]]\nb: [[[*a]]]\n"

    assert isinstance(load(deep, Limits(depth=8)), Mapping)
    assert refusal(deep, Limits(depth=7)) == ("nested more than 7 deep", 2, 7)


def test_aliases_of_aliases_count_as_all_that_they_stand_for() -> None:
    bomb = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40))

    assert refusal(bomb)[0] == "more than 100000 values"


def test_values_aliases_and_size_are_limited() -> None:
    assert refusal("[1, 2, 3]", Limits(nodes=3)) == ("more than 3 values", 1, 1)
    assert refusal("[&x 1, *x, *x]", Limits(aliases=1)) == ("more than 1 aliases", 1, 12)
    assert refusal("a: é", Limits(size=4))[0] == "the text has 5 bytes; at most 4 are read"


@given(trees)
def test_what_is_dumped_is_read_back(tree: Any) -> None:
    text = yaml.safe_dump(tree, allow_unicode=True)

    assert data(load(text)) == tree


@given(trees)
def test_every_scalar_stands_where_it_says(tree: Any) -> None:
    text = yaml.safe_dump(tree, allow_unicode=True, default_style='"', width=10_000)

    for node in scalars(load(text)):
        assert yaml.safe_load(text[node.start.offset : node.end.offset]) == node.value


@given(st.text(alphabet="[]{}:,-? \n\"'|>&*!%#@`~<ab0\t\\é", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    found = mark_of(text)

    assert 1 <= found.line <= text.count("\n") + 2
    assert found.column >= 1


def mark_of(text: str) -> Mark:
    """Where the document begins, or what is wrong with it stands."""
    try:
        return place(load(text), ())
    except BadYaml as refused:
        return Mark(refused.detail.line or 0, refused.detail.column or 0, 0)


def scalars(node: Node) -> list[Scalar]:
    if isinstance(node, Scalar):
        return [node]
    if isinstance(node, Sequence):
        return [found for item in node.items for found in scalars(item)]
    assert isinstance(node, Mapping)
    return [found for entry in node.entries.values() for part in entry for found in scalars(part)]
