"""What an import would do, or did, in lines for people."""

from collections.abc import Iterator
from typing import Any

import click

from alertagent.commands.output import clean

_COLORS = {"+": "green", "-": "red", "@": "cyan"}


def is_a_change(done: Any) -> bool:
    """Rules that only move, to another place or owner, count too."""
    return any(rule["change"] != "unchanged" for rule in done["rules"])


def counts(done: Any) -> str:
    """`2 created, 0 updated, 7 unchanged, 1 deleted`; a rule that moved is not unchanged here."""
    moved = sum(rule["change"] == "moved" for rule in done["rules"])
    numbers = {
        "created": done["created"],
        "updated": done["updated"],
        "moved": moved,
        "unchanged": done["unchanged"] - moved,
        "deleted": done["deleted"],
    }
    return ", ".join(f"{number} {name}" for name, number in numbers.items() if number or name != "moved")


def plan_lines(plan: Any) -> Iterator[str]:
    """Each rule that changes, then what that does to each configuration; coloured."""
    for rule in plan["rules"]:
        if rule["change"] != "unchanged":
            yield clean(f"{rule['change']:<8} {rule['version']:<8} {rule['name']}")
    for config in plan["clusters"]:
        numbers = f"{config['added']} added, {config['changed']} changed, {config['removed']} removed"
        yield click.style(f"\n{config['cluster_id']} ({config['config_type']}): {numbers}", bold=True)
        yield from diff_lines(config["diff"])
        if config["note"]:
            yield clean(config["note"])


def diff_lines(diff: str) -> Iterator[str]:
    for line in diff.removesuffix("\n").split("\n") if diff else ():
        yield click.style(clean(line), fg=_COLORS.get(line[:1]))


def warn(done: Any) -> None:
    for warning in done["warnings"]:
        click.echo(clean(f"warning: {warning}"), err=True)
