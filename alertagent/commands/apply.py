"""`alertagent rules apply` and `import`: files become rules, all of them or none."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from alertagent.commands.changes import counts, is_a_change, plan_lines, warn
from alertagent.commands.client import Client
from alertagent.commands.options import Command, with_server
from alertagent.commands.output import Output
from alertagent.commands.rule_files import STDIN, find_files, import_of, told_by_place

PATH = click.Path(path_type=Path, allow_dash=True)


def _importing(command: Command) -> Command:
    """The options that say how rules are taken in."""
    for option in (
        click.option("--dry-run", is_flag=True, help="Show what would change; exit 1 if anything would."),
        click.option("--comment", default="", help="Why, for the history of each rule; a commit, for instance."),
        click.option(
            "--dialect",
            type=click.Choice(["promql", "metricsql"]),
            default="promql",
            show_default=True,
            help="What the expressions are written in; metricsql is for vmalert.",
        ),
        click.option(
            "--target",
            "targets",
            multiple=True,
            metavar="TARGET",
            help='A cluster\'s id, or a selector such as env="prod"; may be repeated.',
        ),
    ):
        command = option(command)
    return command


@click.command()
@click.option("--file", "-f", "files", multiple=True, required=True, type=PATH, help="A file or directory; - is stdin.")
@click.argument("more", nargs=-1, type=PATH, metavar="[FILE]…")
@click.option("--source", required=True, help="A name for where the files come from, such as git/infra.")
@click.option("--prune", is_flag=True, help="Delete the rules of this source that the files no longer have.")
@_importing
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@with_server
def apply(
    *,
    client: Client,
    out: Output,
    files: Sequence[Path],
    more: Sequence[Path],
    dry_run: bool,
    yes: bool,
    targets: Sequence[str],
    **terms: Any,
) -> None:
    """Make the rules of a source what the files say, all of it or nothing.

    Of a directory it takes the YAML files at any depth, hidden ones left out. Send all files of a source at once. The
    same files again change nothing. On a terminal it shows the difference first and asks.

    Exit status: 0 done or nothing to do, with --dry-run nothing to do; 1 there are findings, you said no, or with
    --dry-run something would change; 2 it could not run.
    """
    paths = [*files, *more]
    with told_by_place():
        body = import_of(find_files(paths))
    terms["targets"] = targets
    plan = _sent(client, body, dry_run=True, **terms)
    if dry_run:
        _end_dry_run(out, plan)
    if not is_a_change(plan):
        out.said(f"nothing to do: {counts(plan)}", plan)
        return
    if out.is_for_people:
        _show(plan)
    # Somebody who pipes rules in cannot be asked there.
    if not yes and sys.stdin.isatty() and STDIN not in paths and not click.confirm("\nApply this?", err=True):
        click.echo("nothing was changed", err=True)
        sys.exit(1)
    done = _sent(client, body, **terms)
    out.said(counts(done), done)


@click.command("import")
@click.argument("files", nargs=-1, type=PATH, metavar="[FILE]…")
@click.option("--from-cluster", metavar="ID", help="In place of files: what the server of this cluster runs.")
@_importing
@with_server
def import_(
    *,
    client: Client,
    out: Output,
    files: Sequence[Path],
    from_cluster: str | None,
    dry_run: bool,
    targets: Sequence[str],
    **terms: Any,
) -> None:
    """Take in rule files once; nobody's rules become a source's, and nothing is deleted.

    For files that are kept elsewhere and come again, use apply. The exit status is that of apply.
    """
    if bool(files) == (from_cluster is not None):
        raise click.UsageError("give either files or --from-cluster")
    with told_by_place():
        body = import_of(find_files(files)) if files else None
    terms |= {"targets": targets, "from_cluster": from_cluster}
    done = _sent(client, body, dry_run=dry_run, **terms)
    if dry_run:
        _end_dry_run(out, done)
    if out.is_for_people:
        warn(done)
    out.said(counts(done), done)


def _sent(client: Client, body: bytes | None, *, comment: str, **query: Any) -> Any:
    with told_by_place():
        return client.post("rules", "import", body=body, comment=comment or None, **query)


def _end_dry_run(out: Output, plan: Any) -> None:
    if out.is_for_people:
        _show(plan)
    out.said(f"would be: {counts(plan)}", plan)
    sys.exit(is_a_change(plan))


def _show(plan: Any) -> None:
    for line in plan_lines(plan):
        click.echo(line)
    warn(plan)
