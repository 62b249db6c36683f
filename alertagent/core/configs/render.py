"""The rule file of one cluster: the same rules always give the same bytes. Pure.

File, group and rule identities depend on nothing but the rules themselves, because Prometheus resets a pending
alert when its file, its group or one of its labels is renamed.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache, partial
from hashlib import sha256
from operator import attrgetter

from alertagent.core.clusters.model import Cluster, ConfigType, is_targeted
from alertagent.core.configs import marker
from alertagent.core.configs.gating import Feature, Gate, Note, Treatment, fit, gate_for, may_say
from alertagent.core.configs.groups import grouped
from alertagent.core.rules.model import Dialect, Kind, Rule, RuleContent
from alertagent.kernel.durations import format_duration
from alertagent.kernel.yaml_text import key, scalar

_ONLY_IN_COMMENTS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufeff\ufffe\uffff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """A configuration, which revision of which rule (or other stored thing) is in it, and what was left out of it.

    `revisions` has the rules that were held back, too. `layout` has the rules of each group in their order, by which
    a checker's complaint is traced back to a rule. `is_bundle`: the body is an archive of several files.
    """

    body: bytes
    hash: str
    rules: Mapping[str, int]
    revisions: Mapping[str, int] = field(default_factory=dict)
    notes: Mapping[str, tuple[Note, ...]] = field(default_factory=dict)
    layout: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    is_bundle: bool = False


@dataclass(frozen=True, slots=True)
class Piece:
    """A rule as text for one kind of target; `text` is None where it is held back.

    vmalert refuses a group that has two rules of the same `identity`.
    """

    text: str | None
    notes: tuple[Note, ...] = ()
    identity: str = ""

    @property
    def digest(self) -> str:
        return sha256((self.text or "").encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """That a target's own tool would not have a rule, as long as its text stays the same."""

    digest: str
    message: str

    def keeps_out(self, notes: Iterable[Note]) -> bool:
        """Whether it is the reason, by what stands beside the rule in a file."""
        return any(note.kind is Treatment.QUARANTINED and note.message == self.message for note in notes)


class Pieces:
    """The texts of rules, each made once for each kind of target and each set of parameters.

    Two generations of at most `capacity` texts: when the younger is full it becomes the older, and what is used again
    comes back. So a file of many rules never drives out itself.
    """

    def __init__(self, capacity: int = 40_000) -> None:
        self._capacity = capacity
        self._gates: dict[Gate, int] = {}
        self._young: dict[tuple[object, ...], Piece] = {}
        self._old: dict[tuple[object, ...], Piece] = {}

    def of(self, rules: Iterable[Rule], values: Mapping[str, str], gate: Gate) -> dict[str, Piece]:
        """The text of each of these rules, by its id."""
        number = self._gates.setdefault(gate, len(self._gates))
        return {rule.id: self._piece(rule, values, gate, number) for rule in rules}

    def _piece(self, rule: Rule, values: Mapping[str, str], gate: Gate, number: int) -> Piece:
        used = tuple([values.get(name) for name in rule.content.parameters])
        place = (number, rule.id, rule.revision, used)
        piece = self._young.get(place)
        if piece is None:
            piece = self._old.get(place) or _piece(rule.content, values, gate)
            if len(self._young) >= self._capacity:
                self._old, self._young = self._young, {}
            self._young[place] = piece
        return piece


def belongs(rule: Rule, cluster: Cluster, config_type: ConfigType) -> bool:
    """Whether this cluster's server of this type runs the rule."""
    return _is_for(rule, config_type) and any(is_targeted(cluster, target) for target in rule.content.targets)


def render(
    cluster: Cluster,
    config_type: ConfigType,
    rules: Iterable[Rule],
    gate: Gate | None = None,
    *,
    refused: Mapping[str, Refusal] | None = None,
    pieces: Pieces | None = None,
) -> Rendered:
    """The file for Prometheus or vmalert. A cluster without rules gets one that holds only the marker.

    Without a gate it is made for the oldest release that is supported. `refused` are rules that a target's own tool
    would not have.
    """
    gate, pieces, refused = gate or gate_for(config_type, ()), pieces or Pieces(), refused or {}
    chosen = _chosen(cluster, config_type, rules)
    found = pieces.of(chosen, cluster.parameters, gate)
    found |= {id: _judged(found[id], refusal) for id, refusal in refused.items() if id in found}
    lines = [f"# managed by AlertAgent; cluster={cluster.id} type={config_type}; do not edit\n", "groups:\n"]
    layout: dict[str, tuple[str, ...]] = {}
    # What is held back keeps its place, so that no other rule changes its group when it comes or goes.
    for name, members in grouped(chosen, config_type).items():
        if config_type is ConfigType.VMALERT:
            found.update(_without_twins(members, found))
        shown = [rule for rule in members if found[rule.id].text is not None]
        if shown:
            lines += _head(name, members[0].content, gate)
            lines += [found[rule.id].text or "" for rule in shown]
            layout[name] = tuple(rule.id for rule in shown)
    body, digest = _marked(cluster, "".join(lines).encode())
    return Rendered(
        body=body,
        hash=digest,
        rules={rule.id: rule.revision for rule in chosen if found[rule.id].text is not None},
        revisions={rule.id: rule.revision for rule in chosen},
        notes={id: piece.notes for id, piece in found.items() if piece.notes},
        layout=layout,
    )


def _chosen(cluster: Cluster, config_type: ConfigType, rules: Iterable[Rule]) -> list[Rule]:
    """The rules that belong here, by position; each target is looked at once, however many rules have it."""
    is_here = lru_cache(maxsize=None)(partial(is_targeted, cluster))
    chosen = (rule for rule in rules if _is_for(rule, config_type) and any(map(is_here, rule.content.targets)))
    return sorted(chosen, key=attrgetter("position"))


def _is_for(rule: Rule, config_type: ConfigType) -> bool:
    content = rule.content
    return content.enabled and (content.dialect is Dialect.PROMQL or config_type is ConfigType.VMALERT)


def _judged(piece: Piece, refusal: Refusal) -> Piece:
    return _held_back(piece, refusal.message) if piece.text and piece.digest == refusal.digest else piece


def _without_twins(members: Iterable[Rule], found: Mapping[str, Piece]) -> dict[str, Piece]:
    """What becomes of the rules that say the same as one before them in their group."""
    seen: dict[str, Rule] = {}
    twins = {}
    for rule in members:
        piece = found[rule.id]
        if piece.text is not None and (first := seen.setdefault(piece.identity, rule)) is not rule:
            message = f"it says the same as rule {first.id} of its group, and vmalert refuses a group with both"
            twins[rule.id] = _held_back(piece, message)
    return twins


def _held_back(piece: Piece, message: str) -> Piece:
    return Piece(None, (*piece.notes, Note(kind=Treatment.QUARANTINED, field="", message=message)))


def _head(name: str, rule: RuleContent, gate: Gate) -> Iterator[str]:
    """The group's own fields, as its rules agree on them."""
    options = rule.group_options
    yield f"- name: {scalar(name, 4)}\n"
    if options.type is not None and gate.config_type is ConfigType.VMALERT:
        yield _option("type", options.type)
    if rule.interval is not None:
        yield _option("interval", rule.interval)
    for feature, value in (
        (Feature.QUERY_OFFSET, options.query_offset),
        (Feature.EVAL_OFFSET, options.eval_offset),
        (Feature.EVAL_DELAY, options.eval_delay),
        (Feature.EVAL_ALIGNMENT, options.eval_alignment),
        (Feature.LIMIT, options.limit),
        (Feature.CONCURRENCY, options.concurrency),
        (Feature.TENANT, options.tenant),
        (Feature.GROUP_LABELS, options.labels or None),
        (Feature.PARAMS, options.params or None),
        (Feature.HEADERS, options.headers or None),
        (Feature.NOTIFIER_HEADERS, options.notifier_headers or None),
        (Feature.GROUP_DEBUG, options.debug),
    ):
        if value is not None and may_say(rule, feature, gate):
            yield _option(feature.value.partition(" ")[0], value)
    yield "  rules:\n"


def _option(name: str, value: object) -> str:
    """A field of a group: a mapping, a list, or a single value."""
    if isinstance(value, Mapping):
        return f"  {name}:\n" + "".join(_entry(each, value[each]) for each in sorted(value))
    if isinstance(value, tuple):
        return f"  {name}:\n" + "".join(f"  - {scalar(each, 4)}\n" for each in value)
    if isinstance(value, timedelta):
        return f"  {name}: {format_duration(value)}\n"
    return f"  {name}: {scalar(value, 4) if isinstance(value, str) else json.dumps(value)}\n"


def _entry(name: str, value: str | tuple[str, ...]) -> str:
    if isinstance(value, str):
        return f"    {key(name)}: {scalar(value, 6)}\n"
    return f"    {key(name)}:\n" + "".join(f"    - {scalar(each, 6)}\n" for each in value)


def _piece(rule: RuleContent, values: Mapping[str, str], gate: Gate) -> Piece:
    fitted = fit(rule, values, gate)
    if fitted.content is None:
        return Piece(None, fitted.notes)
    return Piece(_rule(fitted.content, gate), fitted.notes, _identity(fitted.content, gate))


def _identity(rule: RuleContent, gate: Gate) -> str:
    if gate.config_type is not ConfigType.VMALERT:
        return ""
    return repr((_title(rule), rule.expression, sorted(rule.all_labels.items())))


def _rule(rule: RuleContent, gate: Gate) -> str:
    kind, name = _title(rule)
    text = _comment(rule.notes) if rule.notes else ""
    text += f"  - {kind}: {scalar(name, 6)}\n    expr: {scalar(rule.expression, 6)}\n"
    if rule.duration:
        text += f"    for: {format_duration(rule.duration)}\n"
    if rule.keep_firing_for and Feature.KEEP_FIRING_FOR in gate:
        text += f"    keep_firing_for: {format_duration(rule.keep_firing_for)}\n"
    text += _mapping("labels", rule.all_labels) + _mapping("annotations", rule.annotations)
    if rule.debug is not None and Feature.DEBUG in gate:
        text += f"    debug: {json.dumps(rule.debug)}\n"
    if rule.update_entries_limit is not None and Feature.UPDATE_ENTRIES_LIMIT in gate:
        text += f"    update_entries_limit: {rule.update_entries_limit}\n"
    return text


def _title(rule: RuleContent) -> tuple[str, str]:
    return ("record", rule.record or "") if rule.kind is Kind.RECORDING else ("alert", rule.name)


def _comment(notes: str) -> str:
    """vmalert looks for `%{NAME}` in comments, too."""
    lines = (_ONLY_IN_COMMENTS.sub("\ufffd", line).replace("%{", "% {").rstrip() for line in notes.splitlines())
    return "".join(f"  # {line}\n" if line else "  #\n" for line in lines)


def _mapping(name: str, values: Mapping[str, str]) -> str:
    if not values:
        return ""
    pairs = [f"      {key(each)}: {scalar(value, 8)}\n" for each, value in sorted(values.items())]
    return f"    {name}:\n" + "".join(pairs)


def _marked(cluster: Cluster, above: bytes) -> tuple[bytes, str]:
    """The whole file and its SHA-256."""
    digest = sha256(above)
    mark = (
        marker.START
        + (
            "  interval: 1m\n"
            "  rules:\n"
            f"  - alert: {marker.ALERT}\n"
            "    expr: vector(0) > 1\n"
            "    annotations:\n"
            f"      cluster_id: {scalar(cluster.id, 8)}\n"
            f"      revision: '{marker.shortened(digest.hexdigest())}'\n"
        ).encode()
    )
    digest.update(mark)
    return above + mark, digest.hexdigest()
