"""`alertagent keys`: the keys that secrets are sealed under."""

import click

from alertagent.commands.client import Client
from alertagent.commands.options import with_server
from alertagent.commands.output import Columns, Output

COLUMNS: Columns = {
    "KEY": "id",
    "SEALS": "seals",
    "HELD": "held",
    "SINCE": lambda row: row["added_at"][:19],
}


@click.group()
def keys() -> None:
    """Look after the keys that secrets are sealed under in the database."""


@keys.command()
@with_server
def status(*, client: Client, out: Output) -> None:
    """Show which keys there are, by their ids."""
    state = client.get("keys")
    out.list(state["keys"], COLUMNS, empty="the database knows no key")
    if out.is_for_people:
        click.echo(
            f"the server has its keys from {state['source']}; values under another key: {state['left']}", err=True
        )


@keys.command()
@with_server
def rotate(*, client: Client, out: Output) -> None:
    """Seal all secrets under a new key, beside the running servers.

    Where the server keeps the key in a file of its own, it makes the new one. Otherwise first put a new key before the
    old one in what secrets.key_file names, for every process. If it is broken off, call it again.
    """
    sealed = 0
    while not (step := client.post("keys", "rotate"))["done"]:
        sealed += step["sealed"]
        click.echo(f"{step['left']} left", err=True)
    step["sealed"] += sealed
    out.said(f"{step['sealed']} secrets are sealed under key {step['key']}", step)
    for place in step["unreadable"]:
        click.echo(f"does not open, and stays as it is: {place}", err=True)
