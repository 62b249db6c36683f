"""`alertagent token`: tokens from the command line."""

from collections.abc import Sequence

import click

from alertagent.commands.client import Client
from alertagent.commands.options import with_server
from alertagent.commands.output import Output


@click.group()
def token() -> None:
    """Make tokens."""


@token.command()
@click.argument("name")
@click.option("--role", type=click.Choice(["viewer", "editor", "admin"]), help="What a person of this role may do.")
@click.option("--scope", "scopes", multiple=True, help="Just this, such as ingest or rules:read; may be repeated.")
@click.option("--cluster", help="Alerts posted with this token are of this cluster.")
@click.option("--expires-in", metavar="DURATION", help="Such as 30d. Default: 90 days.")
@with_server
def create(
    *,
    client: Client,
    out: Output,
    name: str,
    role: str | None,
    scopes: Sequence[str],
    cluster: str | None,
    expires_in: str | None,
) -> None:
    """Make a token for NAME: with a role, or with scopes. It is shown only now.

    The token alone goes to standard output, so that `alertagent token create … > file` keeps it.
    """
    if (role is None) == (not scopes):
        raise click.UsageError("give either --role or --scope")
    asked = {"role": role, "scopes": list(scopes) or None, "cluster_id": cluster, "expires_in": expires_in}
    body = {"name": name, **{name: value for name, value in asked.items() if value is not None}}
    made = client.post("tokens", body=body)
    out.said(made["token"], made)
    if out.is_for_people:
        click.echo(f"token {made['id']} for {made['name']}, until {made['expires_at']}; it is shown only now", err=True)
