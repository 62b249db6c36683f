"""The `alertagent` command. Each subcommand imports what it needs when it runs, so that none pays for another.

Exit status: 0 fine, 1 it failed or could not start, 2 it was called wrongly. For `migrate` and the checks 1 means that
there is something to do, 2 that they could not run. Commands that ask a server are in `commands`.
"""

import sys
from collections.abc import Callable, Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from alertagent import __version__
from alertagent.check_rules import check_rules
from alertagent.commands.alerts import alerts
from alertagent.commands.keys import keys
from alertagent.commands.options import FILE, read_token
from alertagent.commands.plugins import plugins
from alertagent.commands.rules import rules
from alertagent.commands.silence import silence
from alertagent.commands.tasks import tasks
from alertagent.commands.token import token
from alertagent.kernel.durations import parse_duration
from alertagent.kernel.errors import Problem

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class DurationType(click.ParamType[timedelta]):
    """`30s`, as Prometheus writes it."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        try:
            return parse_duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class AddressType(click.ParamType[tuple[str, int]]):
    """`HOST:PORT`."""

    name = "host:port"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        if isinstance(value, tuple):
            return value
        host, _, port = value.rpartition(":")
        if not host or not port.isdecimal() or int(port) > 65535:
            self.fail(f"{value!r} is not HOST:PORT", param, ctx)
        return host.strip("[]"), int(port)


@click.group(context_settings=CONTEXT)
def main() -> None:
    """Own the alerting of many Prometheus, vmalert and Alertmanager servers from one place."""


@main.command()
@click.option("--config", type=FILE, help="Settings file; see config.example.yaml.")
@click.option("--host", help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on; 0 takes a free one.")
@click.option("--data-dir", type=click.Path(path_type=Path, file_okay=False), help="Where embedded engines live.")
@click.option(
    "--role",
    type=click.Choice(["all", "api", "worker"]),
    default="all",
    show_default=True,
    help="Answer requests, work on tasks, or both.",
)
@click.option("--demo", is_flag=True, help="Sample clusters, rules and alerts, to look around.")
def serve(
    *, config: Path | None, host: str | None, port: int | None, data_dir: Path | None, role: str, demo: bool
) -> None:
    """Run the service; without database.url and redis.url with its own PostgreSQL and Valkey."""
    flags: dict[str, Any] = {"server": {k: v for k, v in (("host", host), ("port", port)) if v is not None}}
    if data_dir is not None:
        flags["data_dir"] = data_dir

    def start() -> None:
        from alertagent import log  # noqa: PLC0415 - paid for by this command only
        from alertagent.serve import serve as run  # noqa: PLC0415
        from alertagent.settings import load  # noqa: PLC0415

        settings, _ = load(config, flags)
        log.configure(level=settings.log.level, format=settings.log.format)
        _run(run(settings, role=role, demo=demo))

    _reported(start)


@main.command(context_settings={"auto_envvar_prefix": "ALERTAGENT"})
@click.option(
    "--endpoint",
    required=True,
    help="The AlertAgent server, such as https://alerts.example.com.",
)
@click.option("--cluster-id", required=True, help="The cluster whose configuration to run.")
@click.option(
    "--config-type",
    type=click.Choice(["prometheus", "alertmanager", "vmalert"]),
    required=True,
    help="What runs here.",
)
@click.option("--config-path", type=FILE, required=True, help="The file to own.")
@click.option("--reload-url", required=True, help="Such as http://127.0.0.1:9090/-/reload.")
@click.option(
    "--sync-interval",
    type=DurationType(),
    default="30s",
    show_default=True,
    help="How long to wait for a change before asking again.",
)
@click.option("--token-file", type=FILE, help="File with the token; or ALERTAGENT_TOKEN.")
@click.option(
    "--checker",
    default="auto",
    show_default=True,
    help="promtool or its like: auto, off or a path.",
)
@click.option("--listen", type=AddressType(), help="HOST:PORT for /healthz, /readyz and /metrics.")
@click.option(
    "--instance",
    help="Name of this sidecar among those of its cluster. Default: the host's name.",
)
@click.option("--adopt", is_flag=True, help="Give the server what runs here before taking it over.")
@click.option("--once", is_flag=True, help="Write the configuration and exit; for init containers.")
def sidecar(*, token_file: Path | None, instance: str | None, **options: Any) -> None:
    """Keep one monitoring server's configuration up to date, and prove that it runs.

    Every option is also read from ALERTAGENT_<OPTION>, such as ALERTAGENT_CLUSTER_ID.
    """

    def start() -> None:
        import asyncio  # noqa: PLC0415

        from alertagent import log  # noqa: PLC0415
        from alertagent.sidecar.main import Options, run  # noqa: PLC0415

        log.configure(level="info", format="auto")
        if instance is not None:
            options["instance"] = instance
        sys.exit(asyncio.run(run(Options(**options, token=read_token(token_file), token_file=token_file))))

    _reported(start)


@main.command()
@click.option("--config", type=FILE, help="Settings file.")
@click.option("--status", "only_status", is_flag=True, help="Show what is applied and what is missing.")
def migrate(config: Path | None, only_status: bool) -> None:
    """Bring the database named by database.url up to date (serve does it by itself)."""

    def start() -> None:
        import asyncio  # noqa: PLC0415

        from alertagent import log  # noqa: PLC0415
        from alertagent.serve import migrate as run  # noqa: PLC0415
        from alertagent.settings import load  # noqa: PLC0415

        settings, _ = load(config)
        log.configure(level=settings.log.level, format=settings.log.format)
        lines = asyncio.run(run(settings, only_status=only_status))
        click.echo("\n".join(lines))
        sys.exit(only_status and any(line.startswith("pending") for line in lines))

    _reported(start, status=2)


@main.command("check-config")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True), required=False)
@click.option("--print", "shown", is_flag=True, help="Show every setting and where it comes from, secrets masked.")
def check_config(file: Path | None, shown: bool) -> None:
    """Check a settings file and the environment."""

    def start() -> None:
        from alertagent.settings import describe, load  # noqa: PLC0415

        settings, origins = load(file)
        click.echo("\n".join(describe(settings, origins)) if shown else "fine")

    _reported(start)


@main.command()
def version() -> None:
    """Show the version."""
    click.echo(f"alertagent {__version__}")


@keys.command()
@click.option("--config", type=FILE, help="Settings file.")
@click.option("--data-dir", type=click.Path(path_type=Path, file_okay=False), help="Where embedded engines live.")
@click.confirmation_option(prompt="Give up all secrets that are sealed under the lost key?", help="Do not ask.")
def reset(config: Path | None, data_dir: Path | None) -> None:
    """Begin anew with another key, because the one before is lost. What it sealed must be set again.

    It works on the database itself, which only servers with the lost key may use meanwhile.
    """

    def start() -> None:
        import asyncio  # noqa: PLC0415

        from alertagent import log  # noqa: PLC0415
        from alertagent.keys import reset as run  # noqa: PLC0415
        from alertagent.settings import load  # noqa: PLC0415

        settings, _ = load(config, {"data_dir": data_dir} if data_dir is not None else None)
        log.configure(level=settings.log.level, format=settings.log.format)
        click.echo("\n".join(asyncio.run(run(settings))))

    _reported(start)


for command in (rules, alerts, silence, tasks, token, keys, plugins, check_rules):
    main.add_command(command)


def _run(service: Coroutine[Any, Any, None]) -> None:
    """On uvloop where it is installed."""
    try:
        import uvloop  # noqa: PLC0415
    except ImportError:
        import asyncio  # noqa: PLC0415

        asyncio.run(service)
    else:
        uvloop.run(service)


def _reported(start: Callable[[], None], *, status: int = 1) -> None:
    """A problem is one clear line, never a traceback; several at once are one line each."""
    ends_with: int | None = None  # not raised where it is known: some releases of Python would make a group of it
    try:
        start()
    except* Problem as group:
        for message in dict.fromkeys(_messages(group)):
            click.echo(f"alertagent: {message}", err=True)
        ends_with = status
    except* KeyboardInterrupt:
        ends_with = 130
    if ends_with is not None:
        sys.exit(ends_with)


def _messages(error: BaseException) -> list[str]:
    if isinstance(error, BaseExceptionGroup):
        return [message for inner in error.exceptions for message in _messages(inner)]
    return [error.message if isinstance(error, Problem) else str(error)]
