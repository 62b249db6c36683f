"""`alertagent rules`: rules as code."""

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from alertagent.commands.apply import apply, import_
from alertagent.commands.changes import diff_lines
from alertagent.commands.client import Client, CouldNotRun
from alertagent.commands.options import FILE, choosing, with_client, with_server
from alertagent.commands.output import Columns, Output

COLUMNS: Columns = {
    "ID": "id",
    "NAME": "name",
    "KIND": "kind",
    "GROUP": "group",
    "SEVERITY": "severity",
    "TARGETS": "targets",
    "SOURCE": lambda row: row["source"] or None,
    "VERSION": "version",
    "STATUS": "status",
}


@click.group()
def rules() -> None:
    """Rules as code: apply, import, export, look."""


@rules.command("list")
@choosing
@click.option("--limit", type=click.IntRange(min=1), help="At most so many. Default: all.")
@with_server
def list_(*, client: Client, out: Output, filter: Sequence[str], q: str | None, limit: int | None) -> None:
    """List rules, in the order of their names."""
    found = client.each("rules", limit=limit, sort="name", filter=filter, q=q)
    out.list(found, COLUMNS, empty="there are no such rules")


@rules.command()
@click.argument("id")
@click.option("--version", help="As it was in this version, such as v1.0.2.")
@with_server
def get(*, client: Client, out: Output, id: str, version: str | None) -> None:
    """Show a rule with all its fields."""
    out.one(client.get("rules", id, *(("versions", version) if version is not None else ())))


@rules.command()
@click.argument("id")
@click.option("--from", "from_", metavar="VERSION", help="Default: the version before the other.")
@click.option("--to", metavar="VERSION", help="Default: the newest.")
@with_server
def diff(*, client: Client, out: Output, id: str, from_: str | None, to: str | None) -> None:
    """Show what changed in a rule between two versions."""
    found = client.get("rules", id, "diff", **{"from": from_, "to": to})
    if not out.is_for_people:
        out.one(found)
        return
    for line in diff_lines(found["diff"]):
        click.echo(line)


@rules.command()
@choosing
@click.option("--cluster", metavar="ID", help="Only what this cluster runs, with its parameters in place.")
@click.option(
    "--format",
    type=click.Choice(["prometheus", "prometheusrule"]),
    default="prometheus",
    show_default=True,
    help="A rule file, or an object for the Prometheus Operator.",
)
@click.option("--output", "-o", "file", type=FILE, help="Write it here. Default: standard output.")
@with_client
def export(
    *, client: Client, cluster: str | None, format: str, file: Path | None, filter: Sequence[str], q: str | None
) -> None:
    """Write the enabled rules as a file."""
    query = {"cluster_id": cluster, "format": format, "filter": filter, "q": q}
    body = client.call("GET", ("rules", "export"), query).body
    if file is None:
        sys.stdout.buffer.write(body)
        return
    try:
        file.write_bytes(body)
    except OSError as error:
        raise CouldNotRun(f"cannot write {file}: {error.strerror}") from error


for command in (apply, import_):
    rules.add_command(command)
