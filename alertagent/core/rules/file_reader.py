"""The rules that stand in a file, each with its line, and what is wrong with the file and where. Pure."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from alertagent.core.rules.check import check_content, check_group, content_warnings, group_warnings
from alertagent.core.rules.file_fields import Fields, group_fields, rule_fields, unknown_field
from alertagent.core.rules.file_findings import Findings, Loc, TooManyError
from alertagent.core.rules.file_notes import Stand, notes_of
from alertagent.core.rules.file_shape import Groups, find_groups
from alertagent.core.rules.file_text import comments, place_inside
from alertagent.core.rules.file_values import Misread
from alertagent.core.rules.model import RESERVED_GROUP, Dialect, GroupOptions, Kind, RuleContent
from alertagent.core.rules.twins import twins
from alertagent.kernel import yaml_guard
from alertagent.kernel.errors import Detail
from alertagent.kernel.yaml_guard import BadYaml, Limits, Mapping, Mark, Node, Scalar, Sequence

LIMITS = Limits(size=16 * 1024 * 1024, depth=32, nodes=1_000_000, aliases=100_000)

# As long as notes may be over HTTP.
MAX_NOTES = 16_384

# The first line of the files that sidecars own says nothing of their rules.
_HEADER = "managed by AlertAgent;"
_NO_TEXTS: dict[str, Any] = {"labels": {}, "annotations": {}}

# What the fields of a rule are called in files, where that is something else.
_FILE_NAMES = {"name": "alert", "expression": "expr", "duration": "for", "group": "name"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedRule:
    """A rule and the line of the file where it begins."""

    content: RuleContent
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleFile:
    """What a file holds. Where there are errors, its rules are only those that could be read."""

    rules: tuple[PlacedRule, ...] = ()
    errors: tuple[Detail, ...] = ()
    warnings: tuple[Detail, ...] = ()


def read_rules(body: bytes, dialect: Dialect = Dialect.PROMQL) -> RuleFile:
    """Read and check a rule file, a PrometheusRule object, or a list or several documents of such objects.

    Never raises. The dialect says for whom the file is: PromQL for Prometheus, MetricsQL for vmalert, which has fields
    and durations of its own.
    """
    with _no_collector():
        try:
            text = body.decode().removeprefix("\ufeff")
            documents = yaml_guard.load_all(text, LIMITS)
        except UnicodeDecodeError as error:
            line = body.count(b"\n", 0, error.start) + 1
            return RuleFile(errors=(Detail((), "this is no UTF-8", line=line, column=1),))
        except BadYaml as error:
            return RuleFile(errors=(error.detail,))
        return _Reader(text, documents, dialect).file()


@contextmanager
def _no_collector() -> Iterator[None]:
    """Reading makes hundreds of thousands of objects and no cycles: looking for them doubles the time it takes."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class _Reader:
    """Walks the tree of one file."""

    def __init__(self, text: str, documents: list[Node], dialect: Dialect) -> None:
        self._text = text
        self._documents = documents
        self._dialect = dialect
        self._rule_fields = rule_fields(dialect)
        self._findings = Findings()
        self._rules: list[PlacedRule] = []
        self._stands: list[Stand] = []
        self._groups: dict[str, Mark] = {}
        self._names: set[str] = set()
        self._unjudged = 0

    def file(self) -> RuleFile:
        try:
            for groups in find_groups(self._documents, self._dialect, self._findings):
                self._read_groups(groups)
            self._judge_twins()
            if self._unjudged:
                self._findings.warning((), f"only vmalert can judge the expressions: {self._unjudged}", (1, 1))
        except TooManyError:
            pass
        else:
            self._take_notes()
        found = self._findings
        return RuleFile(rules=tuple(self._rules), errors=tuple(found.errors), warnings=tuple(found.warnings))

    def _read_groups(self, groups: Groups) -> None:
        fields = group_fields(self._dialect, in_object=groups.in_object)
        names = set() if groups.in_object else self._names
        for index, node in enumerate(groups.items.items):
            loc = (*groups.loc, index)
            if isinstance(node, Mapping):
                self._read_group(node, loc, fields, names)
            else:
                self._findings.error(loc, "must be a group with a name and rules", node.start)

    def _read_group(self, node: Mapping, loc: Loc, fields: Fields, names: set[str]) -> None:
        values = self._values(node, loc, fields, "group")
        name, rules = values.pop("name", ""), values.pop("rules", None)
        if name == RESERVED_GROUP:
            self._findings.warning(loc, f'the group "{name}" is AlertAgent\'s own and is left out', node.start)
            return
        self._check_name(name, node, loc, names)
        self._stands.append(Stand(node.start.line, node.start.column, len(self._rules)))
        interval = values.pop("interval", None) or None
        extra = values.pop("extra_filter_labels", {})
        if extra:
            said = "extra_filter_labels is deprecated and becomes params: extra_label"
            self._findings.warning((*loc, "extra_filter_labels"), said, node.start)
            values["params"] = _with_extra_labels(values.get("params", {}), extra)
        shared = {"group": name, "interval": interval, "group_options": GroupOptions(**values)}
        self._judge_group(
            RuleContent(name=name, expression="", dialect=self._dialect, **_NO_TEXTS, **shared), node, loc
        )
        self._read_rules(rules, node, loc, shared)

    def _check_name(self, name: str, node: Mapping, loc: Loc, names: set[str]) -> None:
        mark = yaml_guard.place(node, ("name",))
        if not name:
            self._findings.error((*loc, "name"), "the group needs a name", mark)
        elif name in names:
            self._findings.error((*loc, "name"), f'the group "{name[:100]}" stands in this file a second time', mark)
        elif name in self._groups:
            said = f'the group "{name[:100]}" stands in line {self._groups[name].line} too; the two become one'
            self._findings.warning((*loc, "name"), said, mark)
        names.add(name)
        self._groups.setdefault(name, mark)

    def _read_rules(self, node: Node | None, group: Mapping, loc: Loc, shared: dict[str, Any]) -> None:
        if isinstance(node, Sequence) and node.items:
            for index, item in enumerate(node.items):
                if isinstance(item, Mapping):
                    self._read_rule(item, (*loc, "rules", index), shared)
                else:
                    self._findings.error((*loc, "rules", index), "must be a rule with alert or record", item.start)
        elif node is None or isinstance(node, Sequence) or (isinstance(node, Scalar) and node.is_null):
            said = f'the group "{shared["group"][:100]}" has no rules and is left out'
            self._findings.warning((*loc, "rules"), said, group.start)
        else:
            self._findings.error((*loc, "rules"), "must be a list of rules", node.start)

    def _read_rule(self, node: Mapping, loc: Loc, shared: dict[str, Any]) -> None:
        before = len(self._findings.errors)
        values = self._values(node, loc, self._rule_fields, "rule")
        alert, record, expression = (values.pop(name, "") for name in ("alert", "record", "expr"))
        if bool(alert) is bool(record):
            said = "a rule is either an alert or a record" if alert else "a rule needs alert or record"
            self._findings.error(loc, said, node.start)
        if not expression:
            self._findings.error((*loc, "expr"), "a rule needs an expr", yaml_guard.place(node, ("expr",)))
        if len(self._findings.errors) > before:
            return
        content = RuleContent(
            name=alert or record,
            kind=Kind.ALERTING if alert else Kind.RECORDING,
            record=record or None,
            dialect=self._dialect,
            expression=expression,
            **{**_NO_TEXTS, **values},
            **shared,
        )
        self._judge(content, node, loc)
        line, column, _ = node.start
        self._stands.append(Stand(line, column, len(self._rules), node))
        self._rules.append(PlacedRule(content=content, line=line))

    def _values(self, node: Mapping, loc: Loc, fields: Fields, where: str) -> dict[str, Any]:
        """What the fields of a group or rule say; those that say nothing are left out."""
        values: dict[str, Any] = {}
        for name, (key, value) in node.entries.items():
            field = fields.get(name)
            if field is None:
                self._findings.error((*loc, name), unknown_field(name, where), key.start)
                continue
            try:
                read = field.read(value)
            except Misread as error:
                self._findings.error((*loc, name), f"{name}: {error}", error.node.start)
            else:
                if read is not None:
                    values[field.name] = read
        return values

    def _judge(self, content: RuleContent, node: Mapping, loc: Loc) -> None:
        for finding in check_content(content):
            self._place(finding, node, loc)
        for warning in content_warnings(content):
            if warning.loc == ("expression",):
                self._unjudged += 1
            else:
                self._warn(warning, node, loc)

    def _judge_group(self, content: RuleContent, node: Mapping, loc: Loc) -> None:
        for finding in check_group(content):
            self._place(finding, node, loc)
        for warning in group_warnings(content):
            self._warn(warning, node, loc)

    def _warn(self, warning: Detail, node: Mapping, loc: Loc) -> None:
        path = _in_file(warning.loc)
        self._findings.warning((*loc, *path), warning.message, yaml_guard.key_place(node, path))

    def _place(self, finding: Detail, node: Mapping, loc: Loc) -> None:
        """Tell a finding about a rule or a group at the place of the file that it means."""
        path = _in_file(finding.loc)
        value = yaml_guard.find(node, path)
        message, place = finding.message, yaml_guard.key_place(node, path)[:2]
        if finding.line is not None and finding.column is not None and isinstance(value, Scalar):
            inside = place_inside(self._text, value, finding.line, finding.column)
            if inside is None:
                message = f"{message} (line {finding.line}, column {finding.column} of the text)"
            place = inside or value.start[:2]
        self._findings.error((*loc, *path), message, place)

    def _judge_twins(self) -> None:
        for twin in twins([rule.content for rule in self._rules]):
            rule, first = self._rules[twin.rule], self._rules[twin.first]
            said = f'"{rule.content.name[:100]}" with the same labels stands in line {first.line} too'
            if twin.is_same and self._dialect is Dialect.METRICSQL:
                self._findings.error((), f"{said}, and vmalert takes no rule twice in a group", (rule.line, 1))
            else:
                self._findings.warning((), said, (rule.line, 1))

    def _take_notes(self) -> None:
        found = [comment for comment in comments(self._text, self._documents) if not comment.text.startswith(_HEADER)]
        for number, notes in notes_of(found, self._stands, len(self._rules)).items():
            rule = self._rules[number]
            if len(notes) > MAX_NOTES:
                said = f"only the first {MAX_NOTES} characters of the comments here are kept"
                self._findings.warning((), said, (rule.line, 1))
            self._rules[number] = replace(rule, content=replace(rule.content, notes=notes[:MAX_NOTES]))


def _in_file(loc: Loc) -> Loc:
    """The path in a file to what a finding about a rule means."""
    if loc[0] == "group_options":
        return loc[1:]
    return (_FILE_NAMES.get(str(loc[0]), loc[0]), *loc[1:])


def _with_extra_labels(params: dict[str, tuple[str, ...]], labels: dict[str, str]) -> dict[str, tuple[str, ...]]:
    """`extra_filter_labels` is vmalert's old way to say this."""
    extra = tuple(f"{name}={value}" for name, value in sorted(labels.items()))
    return {**params, "extra_label": params.get("extra_label", ()) + extra}
