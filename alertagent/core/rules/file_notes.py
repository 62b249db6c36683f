"""Which comments of a file belong to which rule. Pure."""

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from alertagent.core.rules.file_text import Comment, last_line
from alertagent.kernel.yaml_guard import Node


class Stand(NamedTuple):
    """Where a rule or the head of a group begins, and the number of the rule that takes the comments there."""

    line: int
    column: int
    rule: int
    node: Node | None = None


def notes_of(comments: Sequence[Comment], stands: Sequence[Stand], rules: int) -> dict[int, str]:
    """The notes by number of the rule, of which there are so many.

    A comment belongs to the rule within which it stands, or below which it is indented as its fields are; else to
    the next rule. Comments in the head of a group belong to its first rule, those at the end to the last.
    """
    lines = [stand.line for stand in stands]
    notes: dict[int, list[str]] = {}
    for comment in comments if rules else ():
        index = bisect_right(lines, comment.line) - 1
        if index < 0 or (not _is_within(comment, stands[index]) and index + 1 < len(stands)):
            index += 1
        notes.setdefault(min(stands[index].rule, rules - 1), []).append(comment.text)
    return {rule: "\n".join(texts) for rule, texts in notes.items()}


def _is_within(comment: Comment, stand: Stand) -> bool:
    return stand.node is None or comment.column >= stand.column or comment.line <= last_line(stand.node)
