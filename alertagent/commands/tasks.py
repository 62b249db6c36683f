"""`alertagent tasks`: dead letters from the command line."""

import sys
from collections.abc import Sequence
from typing import Any

import click

from alertagent.commands.client import Client
from alertagent.commands.options import Command, quoted, with_server
from alertagent.commands.output import Columns, Output, Row

# As the server spells them; a typing mistake should not look like "there are none".
WHYS = ("unreadable", "unknown_type", "exhausted", "permanent", "crashed", "cancelled")
# How many ids the server takes at once.
AT_ONCE = 1000
EVERYTHING = 'why=~".+"'

COLUMNS: Columns = {
    "ID": "id",
    "QUEUE": "queue",
    "TYPE": "type",
    "WHY": "why",
    "RUNS": "runs",
    "AT": lambda row: row["at"][:19],
    "TASK": "task_id",
    "ERROR": "error",
}


@click.group()
def tasks() -> None:
    """Look after tasks that failed for good."""


@tasks.group()
def dead() -> None:
    """The dead letters: tasks that nobody tries again unless you say so."""


def _selecting(command: Command) -> Command:
    """The options that say which letters are meant."""
    for option in (
        click.option("--why", type=click.Choice(WHYS), help="Only those that died of this."),
        click.option("--type", "type_", metavar="TYPE", help="Only tasks of this type, such as deliver."),
        click.option("--queue", help="Only this queue. Default: all of them."),
    ):
        command = option(command)
    return command


def _choosing(command: Command) -> Command:
    """The same for commands that change something: nothing is meant unless it is said."""
    for option in (
        click.option("--all", "all_", is_flag=True, help="All of them."),
        click.option("--id", "ids", multiple=True, help="This one of the queue; may be repeated."),
    ):
        command = option(command)
    return _selecting(command)


@dead.command("list")
@_selecting
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="At most so many a queue.")
@with_server
def list_(*, client: Client, out: Output, queue: str | None, type_: str | None, why: str | None, limit: int) -> None:
    """List dead letters, newest first."""
    filter = _filter(type_, why)
    letters: list[Row] = [
        letter
        for name in _queues(client, queue)
        for letter in client.each("queues", name, "dead", limit=limit, filter=filter)
    ]
    letters.sort(key=lambda letter: str(letter["at"]), reverse=True)
    out.list(letters, COLUMNS, empty="there are no dead letters")


@dead.command()
@_choosing
@with_server
def requeue(*, client: Client, out: Output, **chosen: Any) -> None:
    """Try dead tasks again, with all their retries."""
    done = _each(client, "requeue", **chosen)
    left = [id for answer in done for id in answer["left"]]
    told = [f"{answer['queue']}: {_requeued(answer)}" for answer in done]
    out.said("\n".join(told), done)
    if left:
        click.echo(f"not requeued, because they are gone or are no tasks: {', '.join(left)}", err=True)
        sys.exit(1)


@dead.command()
@_choosing
@with_server
def purge(*, client: Client, out: Output, **chosen: Any) -> None:
    """Remove dead letters for good; their tasks stay listed as failed."""
    done = _each(client, "purge", **chosen)
    out.said("\n".join(f"{answer['queue']}: {answer['purged']} purged" for answer in done), done)


def _each(
    client: Client,
    what: str,
    *,
    queue: str | None,
    type_: str | None,
    why: str | None,
    ids: Sequence[str],
    all_: bool,
) -> list[dict[str, Any]]:
    """Do it in each queue concerned; what the server said, with the queue's name."""
    filter = _filter(type_, why)
    if (bool(ids), bool(filter), all_).count(True) != 1:
        raise click.UsageError("say which: either --id, or --type and --why, or --all")
    if ids and queue is None:
        raise click.UsageError("--id needs --queue: each queue has its own letters")

    def ask(name: str, body: Any) -> dict[str, Any]:
        return {"queue": name, **client.post("queues", name, "dead", what, body=body)}

    if queue is not None and ids:
        return [ask(queue, {"ids": ids[start : start + AT_ONCE]}) for start in range(0, len(ids), AT_ONCE)]
    return [ask(name, {"filter": filter or [EVERYTHING]}) for name in _queues(client, queue)]


def _requeued(answer: dict[str, Any]) -> str:
    told = f"{len(answer['requeued'])} requeued"
    # A server of the release before does not say.
    overtaken = len(answer.get("overtaken", ()))
    return f"{told}, {overtaken} overtaken by newer messages" if overtaken else told


def _queues(client: Client, queue: str | None) -> list[str]:
    return [queue] if queue is not None else [each["name"] for each in client.get("queues")]


def _filter(type: str | None, why: str | None) -> list[str]:
    named = {"type": type, "why": why}
    return [f"{name}={quoted(value)}" for name, value in named.items() if value is not None]
