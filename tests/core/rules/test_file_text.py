"""Comments among everything that only looks like one, and places inside scalars."""

import pytest

from alertagent.core.rules.file_text import comments, last_line, place_inside
from alertagent.kernel.yaml_guard import Node, Scalar, find, load

SAMPLE = """\
# first
a: b # second
c: "no # comment"   #third
d: 'nor # this'
e: x#y
f: |  # of the header
  text # not
  # not either

# after a block
g: >-
  folded # no
    # no
h:
  - [1, 2] #   flow
  # in between
  - plain that goes
    on # and ends here
"i#j": "two
  # lines"
# last"""


def test_the_comments_of_a_text_are_those_outside_of_its_values() -> None:
    found = list(comments(SAMPLE, [load(SAMPLE)]))

    assert [(comment.line, comment.column, comment.text) for comment in found] == [
        (1, 1, "first"),
        (2, 6, "second"),
        (3, 21, "third"),
        (6, 7, "of the header"),
        (10, 1, "after a block"),
        (15, 12, "  flow"),
        (16, 3, "in between"),
        (18, 8, "and ends here"),
        (21, 1, "last"),
    ]


def at(tree: Node, *path: str | int) -> Node:
    node = find(tree, path)
    assert node is not None
    return node


@pytest.mark.parametrize(("key", "line"), [("a", 2), ("f", 9), ("h", 18), ("i#j", 20)])
def test_a_node_ends_where_its_last_text_does(key: str, line: int) -> None:
    assert last_line(at(load(SAMPLE), key)) == line


@pytest.mark.parametrize(
    ("text", "line", "column", "place"),
    [
        ("a: b c\n", 1, 3, (1, 6)),
        ("a: 'b c'\n", 1, 3, (1, 7)),
        ("a: |\n    b\n    c d\n", 2, 3, (3, 7)),
        ("a: |2-\n    b\n   c d\n", 2, 3, (3, 5)),
        ("a: !!str |\r\n  b\r\n  c\r\n", 2, 1, (3, 3)),
        ("a: >\n  b\n  c\n", 1, 3, None),
        ('a: "b\\tc"\n', 1, 3, None),
        ("a: b\n  c\n", 1, 3, None),
        ("a: ''\n", 1, 1, (1, 5)),
    ],
)
def test_a_place_in_a_value_is_a_place_in_the_file(
    text: str, line: int, column: int, place: tuple[int, int] | None
) -> None:
    value = at(load(text), "a")

    assert isinstance(value, Scalar)
    assert place_inside(text, value, line, column) == place
