"""Running the service until somebody stops it, and what it says on the terminal."""

import asyncio
import gc
import resource
import signal
import sys
from collections.abc import Callable
from contextlib import suppress

from alertagent.app import Role, Service, running
from alertagent.demo import demo_settings, playing
from alertagent.kernel.errors import Fatal
from alertagent.settings import Settings
from alertagent.storage import migrate as migrations

COLLECT_AFTER = 20_000


async def serve(settings: Settings, *, role: str, demo: bool) -> None:
    """Serve until SIGTERM or SIGINT, which break off a start, too. Raises Fatal when it cannot start."""
    _allow_many_connections()
    start, stop = asyncio.current_task(), asyncio.Event()

    def break_off() -> None:
        _on_signals(stop.set)  # a second one must not cut short what the first began
        if start is not None:
            start.cancel()

    _on_signals(break_off)
    with suppress(asyncio.CancelledError):  # nobody else cancels this task
        async with running(demo_settings(settings) if demo else settings, Role(role)) as service:
            _on_signals(stop.set)
            spare_the_collector()
            if demo:
                async with playing(service.parts) as token:
                    _greet(service, service.fresh_token or token)
                    await stop.wait()
            else:
                _greet(service, service.fresh_token)
                await stop.wait()


async def migrate(settings: Settings, *, only_status: bool) -> list[str]:
    """Bring the configured database up to date, or tell what that would do."""
    if settings.database.url is None:
        raise Fatal("set database.url; an embedded database is migrated by serve itself")
    url = settings.database.url.get_secret_value()
    if not only_status:
        applied = await migrations.migrate(url)
        return [f"applied {each.number:04d}_{each.name}" for each in applied] or ["nothing to do"]
    status = await migrations.status(url)
    lines = [f"applied {number:04d}" for number in status.applied]
    return lines + [f"pending {each.number:04d}_{each.name}" for each in status.pending]


def spare_the_collector() -> None:
    """Let Python's collector of cycles look neither at what was built at the start nor after every few hundred objects.

    Both would cost a worker about a third of its time; a task leaves no cycles unless it fails.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, 10, 10)


def _allow_many_connections() -> None:
    """Each waiting sidecar is an open file, and many systems begin with 1,024 where they allow far more."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _on_signals(act: Callable[[], object]) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, act)


def _greet(service: Service, token: str | None) -> None:
    """For the person at the terminal, not for the log: the token is shown nowhere else."""
    lines = [f"AlertAgent is ready at {service.address}"]
    if token is not None:
        lines += [
            f"Token (shown only now): {token}",
            f"Try: curl -H 'Authorization: Bearer {token}' {service.address}/api/v1/rules",
        ]
    print("\n" + "\n".join(lines) + "\n", file=sys.stderr, flush=True)  # noqa: T201
