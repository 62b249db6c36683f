"""Which stored rule each rule of a file is, and what an import therefore changes. Pure.

A file knows neither ids nor targets. So a rule of a file is the stored one of the same group, kind and name; among
several of these first the one that says the same, then one with the same labels, then the next in order. That makes
an import repeatable: the same file again changes nothing, an edited one changes the rules that were edited.
"""

import re
from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from alertagent.core.rules.edits import Author, Change, Edit, created, followed
from alertagent.core.rules.model import Kind, Rule, RuleContent
from alertagent.core.rules.parameters import effective

_BESIDE = re.compile(r"(.+)/[0-9]+", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How rules are taken in.

    `targets` None: rules that are stored keep theirs, new ones get none. `source` names the import as the owner of
    its rules, whatever their targets were; `prune` then deletes those of its rules that it no longer has.
    """

    targets: tuple[str, ...] | None = None
    source: str = ""
    prune: bool = False
    comment: str = ""


def match(read: Sequence[RuleContent], stored: Iterable[Rule], terms: Terms) -> list[Rule | None]:
    """The stored rule that each rule of the files is; None where it is new."""
    candidates = sorted(
        (rule for rule in stored if _is_candidate(rule, terms)),
        key=lambda rule: (rule.source != terms.source, rule.position),
    )
    left = {rule.id: rule for rule in candidates}
    matches: list[Rule | None] = [None] * len(read)
    for likeness in (_words, _labels, _nothing):
        for group_of in (_group, _undivided(read)):
            free: dict[Hashable, deque[Rule]] = defaultdict(deque)
            for rule in left.values():
                free[_identity(rule.content, rule.content.group), likeness(rule.content)].append(rule)
            for index, content in enumerate(read):
                wanted = (_identity(content, group_of(content)), likeness(content))
                if matches[index] is None and (same := free.get(wanted)):
                    matches[index] = rule = same.popleft()
                    del left[rule.id]
    return matches


def plan_import(
    read: Sequence[RuleContent],
    matches: Sequence[Rule | None],
    stored: Iterable[Rule],
    terms: Terms,
    *,
    new: Iterator[tuple[str, int]],
    author: Author,
) -> list[Edit]:
    """One edit for each rule of the files, in their order, then one for each rule that goes. Raises Invalid."""
    befores = list(matches)
    afters = [_after(content, before, terms, new, author) for content, before in zip(read, befores, strict=True)]
    afters = _in_file_order(read, afters)
    edits = [_edit(before, after, terms, author) for before, after in zip(befores, afters, strict=True)]
    return edits + [
        Edit(change=Change.DELETED, before=rule, after=None, at=author.at, comment=terms.comment)
        for rule in _pruned(stored, befores, terms)
    ]


def _is_candidate(rule: Rule, terms: Terms) -> bool:
    """A source takes over what nobody owns; what another source owns, only an import without a source may touch."""
    if terms.source and rule.source == terms.source:
        return True
    if terms.source and rule.is_owned:
        return False
    return terms.targets is None or set(rule.content.targets) == set(terms.targets)


def _group(content: RuleContent) -> str:
    return content.group


def _undivided(read: Sequence[RuleContent]) -> Callable[[RuleContent], str]:
    """The group that a rule has here when an export put it beside, as `node/2`, for the options that it wants.

    Whether it did is told from the files alone, so that it is told the same when they come again.
    """
    options = {rule.group: (rule.interval, rule.group_options) for rule in reversed(read)}

    def group_of(rule: RuleContent) -> str:
        match = _BESIDE.fullmatch(rule.group)
        if match is None or options.get(match[1]) in (None, (rule.interval, rule.group_options)):
            return rule.group
        return match[1]

    return group_of


def _identity(content: RuleContent, group: str) -> tuple[str, Kind, str | None]:
    return group, content.kind, _title(content)


def _title(content: RuleContent) -> str | None:
    return content.record if content.kind is Kind.RECORDING else content.name


def _words(content: RuleContent) -> Hashable:
    """Everything that a file can say of a rule."""
    said = effective(content, {})
    options = replace(said.group_options, partial_response_strategy=None)
    return (
        said.expression,
        said.duration,
        said.keep_firing_for,
        _labels(said),
        frozenset(said.annotations.items()),
        said.interval,
        repr(options),
        said.debug,
        said.update_entries_limit,
        said.notes,
    )


def _labels(content: RuleContent) -> Hashable:
    return frozenset(content.all_labels.items())


def _nothing(_content: RuleContent) -> Hashable:
    return None


def _after(
    read: RuleContent, before: Rule | None, terms: Terms, new: Iterator[tuple[str, int]], author: Author
) -> Rule:
    if before is None:
        content = replace(read, targets=terms.targets or ())
        return created(content, *next(new), author, source=terms.source)
    content = _merged(before.content, read)
    if terms.targets is not None and set(content.targets) != set(terms.targets):
        content = replace(content, targets=terms.targets)
    return replace(followed(before, content, author), source=terms.source or before.source)


def _merged(stored: RuleContent, read: RuleContent) -> RuleContent:
    """The stored rule with what the file says otherwise. What files have no word for stays: parameters, for one."""
    said = effective(stored, {})
    changes: dict[str, Any] = {}
    for name in ("expression", "annotations", "interval", "debug", "update_entries_limit", "notes"):
        if getattr(said, name) != getattr(read, name):
            changes[name] = getattr(read, name)
    if (said.keep_firing_for or None) != (read.keep_firing_for or None):
        changes["keep_firing_for"] = read.keep_firing_for
    if said.duration != read.duration:
        changes |= {"duration": read.duration, "duration_parameter": None}
    if said.all_labels != read.all_labels:
        changes |= {"labels": read.labels, "severity": read.severity}
    if "expression" in changes:
        changes["dialect"] = read.dialect
    strategy = read.group_options.partial_response_strategy or said.group_options.partial_response_strategy
    options = replace(read.group_options, partial_response_strategy=strategy)
    if said.group_options != options:
        changes["group_options"] = options
    return replace(stored, **changes)


def _in_file_order(read: Sequence[RuleContent], rules: Sequence[Rule]) -> list[Rule]:
    """Within each group the places that its rules have already, handed out in the order of the file."""
    places: dict[str, list[int]] = {}
    for content, rule in zip(read, rules, strict=True):
        places.setdefault(content.group, []).append(rule.position)
    ordered = {group: iter(sorted(positions)) for group, positions in places.items()}
    return [_placed(rule, next(ordered[content.group])) for content, rule in zip(read, rules, strict=True)]


def _placed(rule: Rule, position: int) -> Rule:
    return rule if rule.position == position else replace(rule, position=position)


def _edit(before: Rule | None, after: Rule, terms: Terms, author: Author) -> Edit:
    if before is None:
        change = Change.CREATED
    elif after.revision != before.revision:
        change = Change.UPDATED
    elif (after.position, after.source) != (before.position, before.source):
        change = Change.MOVED
    else:
        change = Change.UNCHANGED
    return Edit(change=change, before=before, after=after, at=author.at, comment=terms.comment)


def _pruned(stored: Iterable[Rule], kept: Iterable[Rule | None], terms: Terms) -> Iterator[Rule]:
    if terms.prune and terms.source:
        ids = {rule.id for rule in kept if rule is not None}
        yield from (rule for rule in stored if rule.source == terms.source and rule.id not in ids)
