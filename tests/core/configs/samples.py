"""Clusters and rules to render, with everything a test does not care for filled in."""

from datetime import UTC, datetime
from typing import Any

from alertagent.core.clusters.model import Cluster, ConfigType
from alertagent.core.rules.model import Rule, RuleContent

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)

NASTY = [
    "on", "No", "YES", "null", "~", "true", "y", "nan", ".inf", "1e3", "0x10", "0o7", "012", "12:30", "1_0",
    "2026-11-22T14:40:00Z", "=", "<<", "- a", "a: b", "a #b", "#", "a:", ":a", "?", "? a", "[a]", "{a}", "{{ $value }}",
    "%", "@a", "`a`", "!a", "&a", "*a", "|", ">", "'", "it's", '"', 'say "hi"', "\\", "\\n", " a", "a ", "\ta", "a\tb",
    "a\nb", "a\n", "\na", "\n", "a\n\n", "a\n b\nc", " a\nb", "a \nb", "a\r\nb", "---", "...", "--- a\n...", "北京 😀",
    "\u2028", "\u0085", "\ufeffa", "\x7f", "a\u00a0", "\u00a0a", "\x1b[31m", "x" * 3000, "A", "_", "a,b", "a]b",
]  # fmt: skip


def make_cluster(id: str = "c1", **values: Any) -> Cluster:
    return Cluster(
        **{
            "id": id,
            "name": id,
            "labels": {},
            "parameters": {},
            "config_types": (ConfigType.PROMETHEUS,),
            "query_url": None,
            "revision": 1,
            "created_at": NOON,
            "updated_at": NOON,
            **values,
        }
    )


def make_rule(position: int = 1, *, revision: int = 1, **content: Any) -> Rule:
    return Rule(
        id=f"r{position}",
        content=RuleContent(
            **{
                "name": f"Rule{position}",
                "expression": "up == 0",
                "labels": {},
                "annotations": {},
                "targets": ("c1",),
                **content,
            }
        ),
        position=position,
        revision=revision,
        created_by="anna",
        created_at=NOON,
        updated_by="anna",
        updated_at=NOON,
    )
