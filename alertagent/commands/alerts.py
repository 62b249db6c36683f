"""`alertagent alerts`: what fires."""

from collections.abc import Sequence

import click

from alertagent.commands.client import Client
from alertagent.commands.options import choosing, with_server
from alertagent.commands.output import Columns, Output

COLUMNS: Columns = {
    "ID": "id",
    "STATUS": "status",
    "SEVERITY": "severity",
    "NAME": lambda row: row["labels"].get("alertname"),
    "SINCE": lambda row: row["starts_at"][:19],
    "LABELS": lambda row: [f"{name}={value}" for name, value in row["labels"].items() if name != "alertname"],
}


@click.group()
def alerts() -> None:
    """Look at alerts."""


@alerts.command("list")
@choosing
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="At most so many.")
@with_server
def list_(*, client: Client, out: Output, filter: Sequence[str], q: str | None, limit: int) -> None:
    """List alerts, the one that changed last first."""
    out.list(client.each("alerts", limit=limit, filter=filter, q=q), COLUMNS, empty="there are no such alerts")
