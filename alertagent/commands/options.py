"""The options that every command has that asks a server, and how such a command ends."""

import os
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from alertagent.commands.client import Client, Refused
from alertagent.commands.output import Format, Output, clean
from alertagent.kernel.errors import Detail, Problem

SERVER = "http://127.0.0.1:8080"
FILE = click.Path(path_type=Path, dir_okay=False)

Command = Callable[..., None]


def with_server(command: Command) -> Command:
    """Give a command `client` and `out`, and the options that lead to them."""

    @click.option(
        "--output",
        "-o",
        type=click.Choice([each.value for each in Format]),
        default=Format.TABLE.value,
        show_default=True,
        help="For people or for programs.",
    )
    @wraps(command)
    def run(*, output: str, **options: Any) -> None:
        command(out=Output(Format(output)), **options)

    return with_client(run)


def with_client(command: Command) -> Command:
    """Give a command `client` alone: what it has to show is of one kind."""

    @click.option("--server", envvar="ALERTAGENT_SERVER", default=SERVER, show_default=True, help="The server to ask.")
    @click.option(
        "--token-file", envvar="ALERTAGENT_TOKEN_FILE", type=FILE, help="File with the token; or ALERTAGENT_TOKEN."
    )
    @wraps(command)
    def run(*, server: str, token_file: Path | None, **options: Any) -> None:
        try:
            command(client=Client(server, read_token(token_file)), **options)
        except Problem as problem:
            click.echo("\n".join(map(clean, complaint(problem))), err=True)
            sys.exit(1 if isinstance(problem, Refused) else 2)

    return run


def choosing(command: Command) -> Command:
    """The options that choose from a list."""
    for option in (
        click.option("--q", metavar="TEXT", help="Only where this text stands."),
        click.option("--filter", multiple=True, metavar="MATCHER", help='Such as severity="critical"; repeatable.'),
    ):
        command = option(command)
    return command


def read_token(file: Path | None) -> str | None:
    """The token in a file, or else in ALERTAGENT_TOKEN."""
    if file is None:
        return os.environ.get("ALERTAGENT_TOKEN") or None
    try:
        return file.read_text("utf-8").strip()
    except OSError as error:
        raise Problem(f"cannot read the token file {file}: {error.strerror}") from error


def quoted(value: str) -> str:
    """As a matcher has it."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def complaint(problem: Problem) -> list[str]:
    """A problem in lines: what is wrong, and each finding with its place."""
    findings = [_finding(detail) for detail in problem.details if len(problem.details) > 1 or detail.line is not None]
    return [f"alertagent: {problem.message}", *(f"  {finding}" for finding in findings)]


def _finding(detail: Detail) -> str:
    place = ".".join(map(str, detail.loc))
    if detail.line is not None:
        place += f", line {detail.line}" + (f", column {detail.column}" if detail.column is not None else "")
    return f"{place}: {detail.message}" if place else detail.message
