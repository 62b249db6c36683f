"""A rule as a row of the database. Pure."""

from datetime import timedelta
from typing import Any

from alertagent.core.rules.model import Dialect, GroupOptions, Kind, Rule, RuleContent

_MILLISECOND = timedelta(milliseconds=1)


def row_of(rule: Rule) -> dict[str, Any]:
    """The row, as JSON that `jsonb_populate_recordset` reads."""
    content = rule.content
    return {
        "id": rule.id,
        "name": content.name,
        "kind": content.kind,
        "record": content.record,
        "dialect": content.dialect,
        "expression": content.expression,
        "duration": _milliseconds(content.duration),
        "duration_parameter": content.duration_parameter,
        "keep_firing_for": _milliseconds(content.keep_firing_for),
        "severity": content.severity,
        "labels": content.labels,
        "annotations": content.annotations,
        "targets": content.targets,
        "group_name": content.group,
        "group_interval": _milliseconds(content.interval),
        "group_options": content.group_options.document(),
        "parameters": content.parameters,
        "debug": content.debug,
        "update_entries_limit": content.update_entries_limit,
        "notes": content.notes,
        "enabled": content.enabled,
        "position": rule.position,
        "revision": rule.revision,
        "created_by": rule.created_by,
        "created_at": rule.created_at,
        "updated_by": rule.updated_by,
        "updated_at": rule.updated_at,
        "source": rule.source,
    }


def rule_of(row: Any) -> Rule:
    """What the row stands for."""
    content = RuleContent(
        name=row["name"],
        kind=Kind(row["kind"]),
        record=row["record"],
        dialect=Dialect(row["dialect"]),
        expression=row["expression"],
        duration=timedelta(milliseconds=row["duration"]),
        duration_parameter=row["duration_parameter"],
        keep_firing_for=_duration(row["keep_firing_for"]),
        severity=row["severity"],
        labels=row["labels"],
        annotations=row["annotations"],
        targets=tuple(row["targets"]),
        group=row["group_name"],
        interval=_duration(row["group_interval"]),
        group_options=GroupOptions.of(row["group_options"]),
        parameters=row["parameters"],
        debug=row["debug"],
        update_entries_limit=row["update_entries_limit"],
        notes=row["notes"],
        enabled=row["enabled"],
    )
    return Rule(
        id=row["id"],
        content=content,
        position=row["position"],
        revision=row["revision"],
        created_by=row["created_by"],
        created_at=row["created_at"],
        updated_by=row["updated_by"],
        updated_at=row["updated_at"],
        source=row["source"],
    )


def _milliseconds(duration: timedelta | None) -> int | None:
    return None if duration is None else duration // _MILLISECOND


def _duration(milliseconds: int | None) -> timedelta | None:
    return None if milliseconds is None else timedelta(milliseconds=milliseconds)
