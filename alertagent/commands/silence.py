"""`alertagent silence`: quiet from the command line, in the manner of amtool."""

import re
import sys
from collections.abc import Sequence
from typing import Any

import click

from alertagent.commands.client import Client, Refused
from alertagent.commands.options import choosing, complaint, quoted, with_server
from alertagent.commands.output import Columns, Output, Row, clean

DURATION = "1h"
_IS_MATCHER = re.compile(r"[=~]")


def _windows(row: Row) -> str | None:
    recurrence = row["recurrence"]
    return f"{recurrence['rrule']} {recurrence['timezone']} {recurrence['duration']}" if recurrence else None


COLUMNS: Columns = {
    "ID": "id",
    "STATE": "state",
    "MATCHERS": "matchers",
    "STARTS": lambda row: row["starts_at"][:19],
    "ENDS": lambda row: row["ends_at"][:19],
    "WINDOWS": _windows,
    "BY": "created_by",
    "COMMENT": "comment",
}


@click.group()
def silence() -> None:
    """Keep alerts quiet for a while."""


@silence.command()
@click.argument("matchers", nargs=-1, required=True, metavar="MATCHER…")
@click.option("--comment", "-c", required=True, help="Why, for those who wonder.")
@click.option("--duration", "-d", help=f"How long, such as 2h or 1d12h. Default: {DURATION}.")
@click.option("--until", metavar="TIME", help="In its place: until when, such as 2026-12-24T18:00:00+08:00.")
@click.option("--start", metavar="TIME", help="From when on. Default: now.")
@click.option("--author", "-a", metavar="NAME", help="Who wants it. Default: the token's name.")
@click.option("--rrule", metavar="RULE", help="Only in windows that recur, such as FREQ=WEEKLY;BYDAY=SU;BYHOUR=2.")
@click.option("--timezone", metavar="ZONE", default="UTC", show_default=True, help="Of the windows.")
@click.option("--window", metavar="DURATION", help="How long each of them lasts.")
@click.option("--mute-all", is_flag=True, help="Confirm matchers that mute everything.")
@with_server
def add(
    *,
    client: Client,
    out: Output,
    matchers: Sequence[str],
    comment: str,
    duration: str | None,
    until: str | None,
    start: str | None,
    author: str | None,
    rrule: str | None,
    timezone: str,
    window: str | None,
    mute_all: bool,
) -> None:
    """Mute the alerts that all matchers fit; prints the silence's id.

    A first MATCHER without an operator is the name of an alert: alertagent silence add DiskFull 'cluster=~"prod-.*"'.
    """
    if duration is not None and until is not None:
        raise click.UsageError("give either --duration or --until")
    if (rrule is None) != (window is None):
        raise click.UsageError("--rrule and --window go together")
    if duration is None and until is None and rrule is None:
        duration = DURATION
    asked = {
        "matchers": [_matcher(text, is_first=place == 0) for place, text in enumerate(matchers)],
        "comment": comment,
        "duration": duration,
        "ends_at": until,
        "starts_at": start,
        "created_by": author,
        "recurrence": {"rrule": rrule, "timezone": timezone, "duration": window} if rrule is not None else None,
        "mute_all": mute_all,
    }
    try:
        made = client.post("silences", body={name: value for name, value in asked.items() if value is not None})
    except Refused as refused:
        if refused.code != "silence.mutes_everything":
            raise
        raise Refused(refused.message.replace('say "mute_all": true', "add --mute-all")) from refused
    out.said(made["id"], made)


@silence.command("list")
@choosing
@click.option("--expired", is_flag=True, help="Also those that have expired.")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="At most so many.")
@with_server
def list_(*, client: Client, out: Output, filter: Sequence[str], q: str | None, expired: bool, limit: int) -> None:
    """List silences, the one that ends first at the top."""
    chosen = [*filter, *([] if expired else ['state!="expired"'])]
    found = client.each("silences", limit=limit, sort="ends_at", filter=chosen, q=q)
    out.list(found, COLUMNS, empty="there are no such silences")


@silence.command()
@click.argument("ids", nargs=-1, required=True, metavar="ID…")
@with_server
def expire(*, client: Client, out: Output, ids: Sequence[str]) -> None:
    """End silences now."""
    ended, refused = list[str](), list[Refused]()
    for id in ids:
        try:
            client.delete("silences", id)
        except Refused as problem:
            refused.append(problem)
        else:
            ended.append(id)
    out.said("\n".join(f"{id} expired" for id in ended), {"expired": ended})
    if refused:
        click.echo("\n".join(clean(line) for problem in refused for line in complaint(problem)), err=True)
        sys.exit(1)


def _matcher(text: str, *, is_first: bool) -> Any:
    return text if _IS_MATCHER.search(text) or not is_first else f"alertname={quoted(text)}"
