"""The fields that groups and rules have in files, for whom, and how they are read. Pure."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, NamedTuple

from alertagent.core.rules.file_values import (
    Misread,
    duration_reader,
    read_bool,
    read_integer,
    read_list,
    read_lists,
    read_text,
    read_texts,
)
from alertagent.core.rules.model import Dialect
from alertagent.kernel.yaml_guard import Node


class Field(NamedTuple):
    """What a field becomes: an argument of RuleContent or GroupOptions, or something that the reader turns into one."""

    name: str
    read: Callable[[Node], Any]


Fields = Mapping[str, Field]

_VMALERT_ONLY = frozenset({
    "type", "concurrency", "params", "headers", "notifier_headers", "eval_offset", "eval_delay", "eval_alignment",
    "tenant", "debug", "extra_filter_labels", "update_entries_limit",
})  # fmt: skip


def group_fields(dialect: Dialect, *, in_object: bool) -> Fields:
    """The fields of a group in a file for this dialect's target."""
    duration = duration_reader(dialect)
    fields: dict[str, Callable[[Node], Any]] = {
        "name": read_text,
        "interval": duration,
        "limit": read_integer,
        "labels": read_texts,
        "rules": _as_it_is,
    }
    if in_object:
        fields["partial_response_strategy"] = _read_strategy
    if dialect is Dialect.PROMQL:
        fields["query_offset"] = duration
    else:
        fields |= {
            "type": _read_word,
            "concurrency": read_integer,
            "params": read_lists,
            "headers": read_list,
            "notifier_headers": read_list,
            "eval_offset": duration,
            "eval_delay": duration,
            "eval_alignment": read_bool,
            "tenant": _read_word,
            "debug": read_bool,
            "extra_filter_labels": read_texts,
        }
    return {name: Field(name, read) for name, read in fields.items()}


def rule_fields(dialect: Dialect) -> Fields:
    """The fields of a rule in a file for this dialect's target."""
    duration = duration_reader(dialect)
    fields = {
        "alert": Field("alert", read_text),
        "record": Field("record", read_text),
        "expr": Field("expr", read_text),
        "for": Field("duration", duration),
        "keep_firing_for": Field("keep_firing_for", _nonzero(duration)),
        "labels": Field("labels", read_texts),
        "annotations": Field("annotations", read_texts),
    }
    if dialect is Dialect.METRICSQL:
        fields["debug"] = Field("debug", read_bool)
        fields["update_entries_limit"] = Field("update_entries_limit", read_integer)
    return fields


def unknown_field(name: str, where: str) -> str:
    """What to say of a field that is not among them."""
    said = f'unknown field "{name[:100]}" of a {where}'
    if name in _VMALERT_ONLY:
        return f"{said}: vmalert has it; read the file with the dialect metricsql"
    if name == "query_offset":
        return f"{said}: Prometheus has it; read the file with the dialect promql"
    if name == "partial_response_strategy":
        return f"{said}: Thanos has it, in PrometheusRule objects"
    return said


def _as_it_is(node: Node) -> Node:
    return node


def _nonzero(read: Callable[[Node], timedelta | None]) -> Callable[[Node], timedelta | None]:
    """No time at all is the same as none."""
    return lambda node: read(node) or None


def _read_word(node: Node) -> str | None:
    return read_text(node) or None


def _read_strategy(node: Node) -> str | None:
    text = read_text(node).lower()
    if text not in {"", "warn", "abort"}:
        raise Misread("must be warn or abort", node)
    return text or None
