"""`alertagent check-rules`: what is wrong with rule files, without a server and without a network."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from alertagent.core.rules.files import RuleFile


@click.command("check-rules")
@click.argument("files", nargs=-1, required=True, metavar="FILE…", type=click.Path(path_type=Path, allow_dash=True))
@click.option(
    "--dialect",
    type=click.Choice(["promql", "metricsql"]),
    default="promql",
    show_default=True,
    help="promql for files of Prometheus, metricsql for those of vmalert.",
)
@click.option(
    "--output",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="Lines for people and editors, or JSON.",
)
def check_rules(*, files: tuple[Path, ...], dialect: str, output: str) -> None:
    """Check rule files and PrometheusRule objects; - reads from the standard input.

    Exit status: 0 fine, 1 there are findings, 2 a file could not be read.
    """
    from alertagent.core.rules.files import read_rules  # noqa: PLC0415 - paid for by this command only
    from alertagent.core.rules.model import Dialect  # noqa: PLC0415

    found = {str(file): read_rules(_body(file), Dialect(dialect)) for file in files}
    if output == "json":
        documents = [_document(file, result) for file, result in found.items()]
        click.echo(json.dumps(documents, ensure_ascii=False, indent=2))
    else:
        for file, result in found.items():
            click.echo("\n".join(_lines(file, result)))
    sys.exit(any(result.errors for result in found.values()))


def _body(file: Path) -> bytes:
    try:
        return sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        click.echo(f"alertagent: cannot read {file}: {error.strerror}", err=True)
        sys.exit(2)


def _lines(file: str, result: "RuleFile") -> list[str]:
    """One line for each finding, in the form in which editors find places, and one for the file."""
    told = [(detail, "") for detail in result.errors] + [(detail, "warning: ") for detail in result.warnings]
    lines = [f"{file}:{detail.line or 1}:{detail.column or 1}: {kind}{_clean(detail.message)}" for detail, kind in told]
    count, rules = len(result.errors), len(result.rules)
    if count:
        return [*lines, f"{file}: {count} finding{'' if count == 1 else 's'}"]
    return [*lines, f"{file}: fine, {rules} rule{'' if rules == 1 else 's'}"]


def _clean(text: str) -> str:
    """No character of a file can steer the terminal."""
    return "".join(character if character.isprintable() else " " for character in text)


def _document(file: str, result: "RuleFile") -> dict[str, Any]:
    findings = {
        kind: [
            {"loc": detail.loc, "message": detail.message, "line": detail.line, "column": detail.column}
            for detail in details
        ]
        for kind, details in (("errors", result.errors), ("warnings", result.warnings))
    }
    return {"file": file, "valid": not result.errors, "rules": len(result.rules), **findings}
