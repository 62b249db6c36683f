"""`alertagent plugins`: what can tell, and trying it out."""

import json
import sys
from typing import IO

import click

from alertagent.commands.client import Client
from alertagent.commands.options import with_server
from alertagent.commands.output import Columns, Output

COLUMNS: Columns = {
    "NAME": "name",
    "VERSION": "version",
    "ENABLED": "enabled",
    "SOURCE": "source",
    "WHAT": lambda row: row["error"] or row["description"].get("en"),
}


@click.group()
def plugins() -> None:
    """Look at what can tell people of alerts."""


@plugins.command("list")
@with_server
def list_(*, client: Client, out: Output) -> None:
    """List the notification plugins, those that could not be loaded last."""
    out.list(client.get("plugins"), COLUMNS, empty="there are no plugins")


@plugins.command()
@click.argument("name")
@click.option("--config", type=click.File("r", encoding="utf-8"), required=True, help="Settings as JSON; - for stdin.")
@with_server
def test(*, client: Client, out: Output, name: str, config: IO[str]) -> None:
    """Send one message with these settings and show what the provider said.

    The exit status is 0 when the provider took it, and 1 when it did not.
    """
    try:
        settings = json.load(config)
    except ValueError as error:
        raise click.BadParameter(f"this is not JSON: {error}", param_hint="--config") from error
    found = client.post("plugins", name, "test", body={"config": settings})
    out.said(" ".join(filter(None, (found["outcome"], found["code"], found["message"]))), found)
    if not found["delivered"]:
        sys.exit(1)
