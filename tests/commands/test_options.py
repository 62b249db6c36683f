from collections.abc import Mapping
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from alertagent.commands.client import Client, CouldNotRun, Refused
from alertagent.commands.options import read_token, with_server
from alertagent.commands.output import Output
from alertagent.kernel.errors import Detail, Problem


def run(problem: Problem | None = None, *arguments: str, env: Mapping[str, str | None] | None = None) -> Result:
    @click.command()
    @click.option("--name")
    @with_server
    def command(*, client: Client, out: Output, name: str | None) -> None:
        if problem is not None:
            raise problem
        out.said(f"{client._server} {client._token} {name}", {"name": name})

    return CliRunner().invoke(command, arguments, env=env)


def test_a_command_gets_its_server_and_its_own_options(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(" t \n")
    where = {"ALERTAGENT_SERVER": "http://h:1/", "ALERTAGENT_TOKEN_FILE": str(tmp_path / "token")}

    assert run().output == "http://127.0.0.1:8080 None None\n"
    assert run(None, "--name", "n", env=where).output == "http://h:1 t n\n"
    assert run(None, "--server", "https://g", env=where).output == "https://g t None\n"
    assert run(None, "-o", "json", "--name", "n").output == '{\n  "name": "n"\n}\n'
    assert run(None, "-o", "xml").exit_code == 2


@pytest.mark.parametrize(
    ("problem", "status", "lines"),
    [
        (Refused("no such thing"), 1, ["alertagent: no such thing"]),
        (CouldNotRun("away"), 2, ["alertagent: away"]),
        (
            Refused("expression: bad", details=[Detail(("expression",), "bad", 2, 5)]),
            1,
            ["alertagent: expression: bad", "  expression, line 2, column 5: bad"],
        ),
        (Refused("name: missing", details=[Detail(("name",), "missing")]), 1, ["alertagent: name: missing"]),
        (
            Refused("two", details=[Detail(("a", 0), "x"), Detail((), "y", 3)]),
            1,
            ["alertagent: two", "  a.0: x", "  , line 3: y"],
        ),
        (CouldNotRun("bad\x1b[2J"), 2, ["alertagent: bad [2J"]),
    ],
)
def test_a_problem_ends_it_with_its_status_and_every_finding(problem: Problem, status: int, lines: list[str]) -> None:
    result = run(problem)

    assert (result.exit_code, result.stderr.splitlines(), result.stdout) == (status, lines, "")


def test_a_token_file_that_is_missing_is_named(tmp_path: Path) -> None:
    result = run(None, "--token-file", str(tmp_path / "none"))

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"alertagent: cannot read the token file {tmp_path}/none: No such file")


def test_the_token_comes_from_its_file_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text(" from-file \n")
    monkeypatch.setenv("ALERTAGENT_TOKEN", "from-environment")

    assert read_token(tmp_path / "token") == "from-file"
    assert read_token(None) == "from-environment"
    monkeypatch.setenv("ALERTAGENT_TOKEN", "")
    assert read_token(None) is None
