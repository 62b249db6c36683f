"""Which stored rule a rule of a file is, decided without a database."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from alertagent.core.rules.edits import Author, Change, Edit
from alertagent.core.rules.files import read_rules, write_rules
from alertagent.core.rules.importing import Terms, match, plan_import
from alertagent.core.rules.model import GroupOptions, Kind, Rule, RuleContent

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
ANNA = Author(name="anna", at=NOON)


def content(name: str = "a", **values: Any) -> RuleContent:
    return RuleContent(**{"name": name, "expression": "up == 0", "labels": {}, "annotations": {}, **values})


def stored(id: str, position: int, *, source: str = "", name: str = "a", **values: Any) -> Rule:
    return Rule(
        id=id,
        content=content(name, **values),
        position=position,
        revision=1,
        created_by="b",
        created_at=NOON,
        updated_by="b",
        updated_at=NOON,
        source=source,
    )


def fresh() -> Iterator[tuple[str, int]]:
    return ((f"new{number}", 1000 + number) for number in range(1000))


def imported(read: Sequence[RuleContent], rules: Sequence[Rule], **terms: Any) -> list[Edit]:
    settled = Terms(**terms)
    return plan_import(read, match(read, rules, settled), rules, settled, new=fresh(), author=ANNA)


def outcome(edits: Sequence[Edit]) -> list[tuple[str, str]]:
    return [(edit.rule.id, edit.change) for edit in edits]


def after(edit: Edit) -> Rule:
    assert edit.after is not None
    return edit.after


def test_a_rule_is_found_by_its_group_kind_and_name() -> None:
    rules = [
        stored("alert", 1, name="x", group="g"),
        stored("other group", 2, name="x", group="h"),
        stored("record", 3, name="named", kind=Kind.RECORDING, record="x", group="g"),
    ]

    read = [
        content("x", group="g"),
        content("x", kind=Kind.RECORDING, record="x", group="g"),
        content("x", group="i"),
        content("y", group="g"),
    ]

    assert outcome(imported(read, rules)) == [
        ("alert", "unchanged"),
        ("record", "unchanged"),
        ("new0", "created"),
        ("new1", "created"),
    ]


def test_among_rules_of_one_name_words_come_before_labels_and_labels_before_order() -> None:
    rules = [
        stored("first", 1, labels={"tier": "1"}, expression="up == 1"),
        stored("second", 2, labels={"tier": "2"}, expression="up == 2"),
        stored("third", 3, labels={"tier": "3"}, expression="up == 3"),
    ]

    read = [
        content(labels={"tier": "3"}, expression="up == 30"),
        content(labels={"tier": "2"}, expression="up == 2"),
        content(labels={"tier": "9"}, expression="up == 9"),
    ]

    assert [edit.rule.id for edit in imported(read, rules)] == ["third", "second", "first"]


def test_without_targets_stored_rules_keep_theirs_and_with_targets_only_rules_of_just_these_are_meant() -> None:
    rules = [stored("one", 1, targets=("c1",)), stored("both", 2, targets=("c1", "c2"))]
    read = [content(expression="up == 1")]

    kept = imported(read, rules)
    both = imported(read, rules, targets=("c2", "c1"))
    none = imported(read, rules, targets=("c3",))

    assert (outcome(kept), after(kept[0]).content.targets) == ([("one", "updated")], ("c1",))
    assert outcome(both) == [("both", "updated")]
    assert (outcome(none), after(none[0]).content.targets) == ([("new0", "created")], ("c3",))


def test_a_source_owns_its_rules_whatever_their_targets_and_takes_over_what_nobody_owns() -> None:
    rules = [
        stored("mine", 1, name="a", source="git", targets=("c1",)),
        stored("nobody's", 2, name="b", targets=("c2",)),
        stored("theirs", 3, name="c", source="other", targets=("c2",)),
        stored("elsewhere", 4, name="d", targets=("c1",)),
    ]

    edits = imported([content(name) for name in "abcd"], rules, source="git", targets=("c2",))

    assert outcome(edits) == [
        ("mine", "updated"),
        ("nobody's", "moved"),
        ("new0", "created"),
        ("new1", "created"),
    ]
    assert {(after(edit).source, after(edit).content.targets) for edit in edits} == {("git", ("c2",))}


def test_an_adopted_rule_has_no_owner_yet() -> None:
    rules = [stored("here", 1, source="adopted:c1", targets=("c1",))]

    (taken,) = imported([content()], rules, source="git", targets=("c1",))
    (kept,) = imported([content()], rules, targets=("c1",))
    (elsewhere,) = imported([content()], rules, source="git", targets=("c2",))

    assert (taken.rule.id, taken.change, after(taken).source) == ("here", "moved", "git")
    assert (kept.change, after(kept).source) == ("unchanged", "adopted:c1")
    assert (elsewhere.rule.id, elsewhere.change) == ("new0", "created")


def test_only_rules_of_the_source_are_pruned() -> None:
    rules = [
        stored("kept", 1, name="a", source="git"),
        stored("gone", 2, name="b", source="git"),
        stored("theirs", 3, name="c", source="other"),
        stored("nobody's", 4, name="d"),
    ]
    read = [content("a")]

    assert outcome(imported(read, rules, source="git", prune=True)) == [("kept", "unchanged"), ("gone", "deleted")]
    assert outcome(imported(read, rules, source="git")) == [("kept", "unchanged")]
    assert outcome(imported([], rules, source="git", prune=True)) == [("kept", "deleted"), ("gone", "deleted")]


def test_the_places_of_a_group_follow_the_file_and_other_groups_stay() -> None:
    rules = [stored(name, n, name=name, group="g") for n, name in enumerate("abc", 1)]
    rules.append(stored("other", 10, name="other", group="h"))
    read = [content("new", group="g"), *(content(name, group="g") for name in "acb"), content("other", group="h")]

    edits = imported(read, rules)

    assert [(edit.rule.content.name, after(edit).position, edit.change) for edit in edits] == [
        ("new", 1, "created"),
        ("a", 2, "moved"),
        ("c", 3, "unchanged"),
        ("b", 1000, "moved"),
        ("other", 10, "unchanged"),
    ]


def test_what_a_file_has_no_word_for_stays_as_it_is() -> None:
    rules = [
        stored(
            "r",
            1,
            severity="critical",
            expression="latency > ${limit}",
            duration_parameter="patience",
            parameters={"limit": "2", "patience": "5m"},
            enabled=False,
            targets=("c1",),
        )
    ]
    (file,) = read_rules(write_rules([rules[0].content])).rules

    same = imported([file.content], rules)
    other = after(imported([content(expression="latency > 3", labels={"severity": "critical"})], rules)[0]).content

    assert outcome(same) == [("r", "unchanged")]
    assert (other.expression, other.parameters, other.enabled) == (
        "latency > 3",
        {"limit": "2", "patience": "5m"},
        False,
    )
    assert (other.severity, other.labels, other.duration_parameter) == ("critical", {}, None)


def test_a_label_changed_in_the_file_carries_the_severity_with_it() -> None:
    rules = [stored("r", 1, severity="critical")]

    changed = after(imported([content(labels={"severity": "warning"})], rules)[0]).content

    assert (changed.severity, changed.labels) == ("warning", {"severity": "warning"})


def test_rules_that_want_other_options_than_their_group_are_found_where_a_file_puts_them() -> None:
    rules = [
        stored("a", 1, name="a", group="g"),
        stored("b", 2, name="b", group="g", group_options=GroupOptions(limit=5)),
        stored("c", 3, name="c", group="g", group_options=GroupOptions(limit=7)),
    ]
    file = read_rules(write_rules([rule.content for rule in rules]))

    edits = imported([rule.content for rule in file.rules], rules)

    assert outcome(edits) == [("a", "unchanged"), ("b", "unchanged"), ("c", "unchanged")]


CONTENTS = st.builds(
    content,
    name=st.sampled_from("ab"),
    group=st.sampled_from(["g", "h", "g/2"]),
    expression=st.sampled_from(["up == 0", "up == 1", "up\n  == 2"]),
    labels=st.dictionaries(st.sampled_from(["team", "tier"]), st.sampled_from(["1", "on", "it's"])),
    severity=st.sampled_from([None, "critical"]),
    annotations=st.dictionaries(st.sampled_from(["summary"]), st.sampled_from(["", "x\ny\n", "{{ $value }}"])),
    group_options=st.sampled_from([GroupOptions(), GroupOptions(limit=3)]),
    targets=st.sampled_from([(), ("c1",), ("c1", "c2")]),
    notes=st.sampled_from(["", "asked for by payments"]),
)


@given(st.lists(CONTENTS, max_size=12))
def test_taking_in_what_was_given_out_changes_nothing(contents: list[RuleContent]) -> None:
    rules = [Rule(**{**_fields(stored(f"r{n}", n)), "content": each}) for n, each in enumerate(contents, 1)]
    file = read_rules(write_rules(contents))
    assert not file.errors

    edits = imported([rule.content for rule in file.rules], rules)

    assert {edit.change for edit in edits} <= {Change.UNCHANGED}
    assert {edit.rule.id for edit in edits} == {rule.id for rule in rules}


@given(st.lists(CONTENTS, max_size=8), st.lists(CONTENTS, max_size=8))
def test_an_import_done_twice_does_nothing_the_second_time(before: list[RuleContent], read: list[RuleContent]) -> None:
    rules = [Rule(**{**_fields(stored(f"r{n}", n)), "content": each}) for n, each in enumerate(before, 1)]
    terms: dict[str, Any] = {"source": "git", "targets": ("c1",), "prune": True}
    file = [rule.content for rule in read_rules(write_rules(read)).rules]

    edits = imported(file, rules, **terms)
    touched = {edit.before.id for edit in edits if edit.before is not None}
    now = [edit.after for edit in edits if edit.after is not None] + [rule for rule in rules if rule.id not in touched]

    assert {edit.change for edit in imported(file, now, **terms)} <= {Change.UNCHANGED}


def _fields(rule: Rule) -> dict[str, Any]:
    return {name: getattr(rule, name) for name in Rule.__dataclass_fields__}
