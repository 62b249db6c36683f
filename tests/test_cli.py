"""The command line: what it takes, what it says, how it ends."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from alertagent import __version__, cli
from alertagent.cli import AddressType, DurationType, main
from alertagent.kernel.errors import Fatal, Invalid

SIDECAR = {
    "ENDPOINT": "http://127.0.0.1:1",
    "CLUSTER_ID": "c1",
    "CONFIG_TYPE": "prometheus",
    "RELOAD_URL": "http://127.0.0.1:1/-/reload",
}


def really(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own: a command that works sets up logging for all of its process."""
    command = [sys.executable, "-m", "alertagent", *arguments]
    given = {"PATH": os.environ["PATH"], **{f"ALERTAGENT_{name}": value for name, value in env.items()}}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=given, timeout=60)


def run(*arguments: str, env: Mapping[str, str | None] | None = None) -> Result:
    return CliRunner().invoke(main, arguments, env=env)


@pytest.fixture(autouse=True)
def _no_settings_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.upper().startswith("ALERTAGENT_")]:
        monkeypatch.delenv(name)


def test_the_version_is_shown() -> None:
    assert run("version").output == f"alertagent {__version__}\n"


def test_the_module_is_the_command() -> None:
    assert really("version").stdout == f"alertagent {__version__}\n"


def test_every_command_and_every_option_has_a_help_text() -> None:
    for names, command in commands(main):
        assert command.help, names
        for option in command.params:
            assert not isinstance(option, click.Option) or option.help, f"{names} {option.name}"
        for flag in ("-h", "--help"):
            result = run(*names, flag)
            assert (result.exit_code, result.output.startswith("Usage:")) == (0, True), names


def commands(group: click.Group, *path: str) -> Iterator[tuple[list[str], click.Command]]:
    for name, command in group.commands.items():
        yield [*path, name], command
        if isinstance(command, click.Group):
            yield from commands(command, *path, name)


def test_no_command_pays_for_what_another_needs() -> None:
    heavy = "aiohttp asyncpg redis pydantic orjson structlog yaml re2 ssl http.client urllib.request asyncio.events"
    told = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "alertagent", "tasks", "dead", "list", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )

    imported = {line.rpartition("|")[2].strip() for line in told.stderr.splitlines()}
    assert "click" in imported
    assert imported.isdisjoint(heavy.split())


def test_the_commands_of_this_release_are_listed() -> None:
    assert {"serve", "sidecar", "migrate", "check-config", "tasks", "token", "version"} <= set(main.commands)


@pytest.mark.parametrize(
    "arguments",
    [
        ["nothing"],
        ["serve", "--nothing"],
        ["serve", "--port", "70000"],
        ["serve", "--port", "eighty"],
        ["serve", "--role", "king"],
        ["serve", "extra"],
        ["sidecar"],
        ["sidecar", "--config-type", "grafana"],
        ["check-config", "a", "b"],
    ],
)
def test_a_wrong_call_ends_with_2_and_one_clear_line(arguments: list[str]) -> None:
    result = run(*arguments)

    assert result.exit_code == 2
    assert "Error: " in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("text", "expected"), [("30s", timedelta(seconds=30)), ("0", timedelta()), (timedelta(hours=1), timedelta(hours=1))]
)
def test_a_duration_is_read(text: Any, expected: timedelta) -> None:
    assert DurationType().convert(text, None, None) == expected


@pytest.mark.parametrize("text", ["90", "", "1.5h", "soon"])
def test_what_is_no_duration_is_a_wrong_call(text: str) -> None:
    with pytest.raises(click.BadParameter, match="duration"):
        DurationType().convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:9000", ("127.0.0.1", 9000)),
        ("localhost:0", ("localhost", 0)),
        ("[::1]:9000", ("::1", 9000)),
        ("0.0.0.0:65535", ("0.0.0.0", 65535)),
        (("a", 1), ("a", 1)),
    ],
)
def test_an_address_is_read(text: Any, expected: tuple[str, int]) -> None:
    assert AddressType().convert(text, None, None) == expected


@pytest.mark.parametrize(
    "text", ["", "9000", ":9000", "host", "host:", "host:x", "host:-1", "host:65536", "host:1e3", "h: 1"]
)
def test_what_is_no_address_is_a_wrong_call(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is not HOST:PORT"):
        AddressType().convert(text, None, None)


# check-config


def test_good_settings_are_fine(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("server: {port: 1}")

    assert run("check-config").output == run("check-config", str(file)).output == "fine\n"


def test_settings_are_printed_with_their_origins_and_without_secrets(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("server: {port: 1}\nauth: {admin_token: CANARY-0123456789}")

    output = run("check-config", "--print", str(file), env={"ALERTAGENT_SERVER__HOST": "h"}).output

    assert f"server.port: 1  ({file})" in output
    assert "server.host: h  (environment)" in output
    assert "CANARY" not in output


@pytest.mark.parametrize(
    ("content", "said"),
    [("server: {prot: 1}", 'unknown setting "server.prot"'), ("server: {port: x}", '"server.port"')],
)
def test_bad_settings_end_with_1_and_one_line(tmp_path: Path, content: str, said: str) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(content)

    for arguments in (
        ["check-config", str(file)],
        ["serve", "--config", str(file)],
        ["migrate", "--config", str(file)],
    ):
        result = run(*arguments)
        assert result.exit_code == (2 if arguments[0] == "migrate" else 1), arguments
        assert len(result.stderr.splitlines()) == 1, arguments
        assert result.stderr.startswith(f"alertagent: {file}: "), arguments
        assert said in result.stderr, arguments


# migrate


def test_a_database_is_migrated_once(empty_database_url: str) -> None:
    url = {"DATABASE__URL": empty_database_url}

    assert "pending 0001_initial" in really("migrate", "--status", **url).stdout
    assert "applied 0001_initial" in really("migrate", **url).stdout
    assert really("migrate", **url).stdout == "nothing to do\n"
    assert "applied 0001" in really("migrate", "--status", **url).stdout


def test_an_embedded_database_is_not_migrated_by_hand() -> None:
    done = really("migrate")

    assert done.returncode == 2
    assert done.stderr == "alertagent: set database.url; an embedded database is migrated by serve itself\n"


def test_a_database_that_is_away_is_one_clear_line() -> None:
    done = really("migrate", DATABASE__URL="postgresql://u:CANARY@127.0.0.1:1/d")

    assert done.returncode == 2
    assert "alertagent: the database is not available" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert "CANARY" not in done.stdout + done.stderr


# sidecar


def test_the_sidecars_options_come_from_the_environment_too(tmp_path: Path) -> None:
    env = {f"ALERTAGENT_{name}": value for name, value in SIDECAR.items()}

    without_a_path = run("sidecar", env=env)
    assert (without_a_path.exit_code, "Missing option '--config-path'" in without_a_path.stderr) == (2, True)

    wrong = run(
        "sidecar", env={**env, "ALERTAGENT_CONFIG_PATH": str(tmp_path / "r.yml"), "ALERTAGENT_SYNC_INTERVAL": "90"}
    )
    assert (wrong.exit_code, "'--sync-interval'" in wrong.stderr) == (2, True)


def test_a_token_file_that_is_missing_is_named(tmp_path: Path) -> None:
    paths = {"CONFIG_PATH": str(tmp_path / "r.yml"), "TOKEN_FILE": str(tmp_path / "none")}

    done = really("sidecar", "--once", **SIDECAR, **paths)

    assert done.returncode == 1
    assert f"alertagent: cannot read the token file {tmp_path}/none: No such file or directory" in done.stderr
    assert "Traceback" not in done.stderr


# How problems end a command.


@pytest.mark.parametrize(
    ("raised", "lines"),
    [
        (Fatal("port taken"), ["alertagent: port taken"]),
        (ExceptionGroup("several", [Fatal("one"), Invalid("two")]), ["alertagent: one", "alertagent: two"]),
        (ExceptionGroup("a", [ExceptionGroup("b", [Fatal("deep")])]), ["alertagent: deep"]),
        (ExceptionGroup("same", [Fatal("one"), Fatal("one")]), ["alertagent: one"]),
    ],
)
def test_a_problem_is_a_line_and_several_are_several(
    raised: Exception, lines: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    def start() -> None:
        raise raised

    with pytest.raises(SystemExit) as end:
        cli._reported(start)

    assert end.value.code == 1
    assert capsys.readouterr().err.splitlines() == lines


def test_a_defect_keeps_its_traceback() -> None:
    def start() -> None:
        raise KeyError("ours")

    with pytest.raises(KeyError):
        cli._reported(start)


def test_a_keyboard_ends_with_130() -> None:
    def start() -> None:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as end:
        cli._reported(start)

    assert end.value.code == 130
