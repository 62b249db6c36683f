"""Starts a sidecar, keeps it turning, and stops it on SIGTERM."""

import asyncio
import random
import signal
import socket
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import structlog
from aiohttp import ClientSession, DummyCookieJar

from alertagent.kernel.clock import SystemClock
from alertagent.kernel.errors import Problem
from alertagent.sidecar.adopt import Adoption
from alertagent.sidecar.check import CHECK_TIMEOUT, Checker
from alertagent.sidecar.client import POLL_SLACK, Server
from alertagent.sidecar.files import LiveFile
from alertagent.sidecar.health import Health, served
from alertagent.sidecar.loop import Loop
from alertagent.sidecar.memory import Memory
from alertagent.sidecar.model import Identity, Locked
from alertagent.sidecar.proof import Proof
from alertagent.sidecar.refusals import MAX_RETRY_AFTER
from alertagent.sidecar.reporter import Reporter
from alertagent.sidecar.sync import Sync
from alertagent.sidecar.targets import kind_of, target_for
from alertagent.sidecar.token import Token

_LONGEST_WAIT = timedelta(seconds=60)

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the operator says.

    A `token_file` is read again for each request; `token` is what it held at the start, or all there is.
    `checker` is `auto`, `off`, or the name or path of the target's tool. `proof` is how long a target may take
    to show what it loaded; None leaves it to the type. With `adopt`, the server gets what runs here before anything
    is changed.
    """

    endpoint: str
    cluster_id: str
    config_type: str
    config_path: Path
    reload_url: str
    sync_interval: timedelta = timedelta(seconds=30)
    token: str | None = field(default=None, repr=False)
    token_file: Path | None = None
    checker: str = "auto"
    listen: tuple[str, int] | None = None
    once: bool = False
    adopt: bool = False
    instance: str = field(default_factory=socket.gethostname)
    proof: timedelta | None = None

    @property
    def identity(self) -> Identity:
        return Identity(cluster_id=self.cluster_id, config_type=self.config_type, instance=self.instance)

    @property
    def wait(self) -> timedelta:
        """How long the server may hold a poll; whole seconds are all that the contract knows."""
        return max(timedelta(seconds=1), min(_LONGEST_WAIT, self.sync_interval))


async def run(options: Options) -> int:
    """The exit status: 0 stopped or (`once`) written, 1 cannot work or (`once`) failed, 3 the directory is taken."""
    live = LiveFile(options.config_path)
    try:
        with live.locked():
            live.sweep()
            await _work(options, live)
    except Problem as problem:
        _log.error("sidecar.failed", error=problem.message)
        return 3 if isinstance(problem, Locked) else 1
    return 0


async def _work(options: Options, live: LiveFile) -> None:
    async with ClientSession(cookie_jar=DummyCookieJar()) as session:
        sync, reporter, health = _built(options, live, session)
        if options.once:
            await sync.once()
            return
        async with served(health, options.listen):
            _log.info("sidecar.started", cluster=options.cluster_id, type=options.config_type, path=str(live.path))
            await _until_stopped(Loop(sync, reporter, health, random.random).forever())


def _built(options: Options, live: LiveFile, session: ClientSession) -> tuple[Sync, Reporter, Health]:
    kind = kind_of(options.config_type)
    clock = SystemClock()
    token = Token(options.token, options.token_file)
    server = Server(session, options.endpoint, options.identity, token=token, has_templates=kind.has_templates)
    target = target_for(kind, session, options.reload_url)
    patience = options.proof or kind.proof
    health = Health(patience=_patience(options.wait, patience))
    sync = Sync(
        server=server,
        live=live,
        memory=Memory(live, random.random),
        kind=kind,
        target=target,
        proof=Proof(target, health, live.path, patience),
        checker=Checker.find(options.checker, kind.check),
        adoption=Adoption(server, live, kind, target) if options.adopt else None,
        health=health,
        clock=clock,
        wait=options.wait,
    )
    return sync, Reporter(server, clock), health


def _patience(wait: timedelta, proof: timedelta) -> timedelta:
    """How far apart the ends of two polls may lie: a check, a proof, and another after a rollback come in between."""
    return 2 * wait + (wait + POLL_SLACK) + CHECK_TIMEOUT + 3 * proof + MAX_RETRY_AFTER


async def _until_stopped(work: Coroutine[object, object, None]) -> None:
    """Run until SIGTERM or SIGINT. What is written to disk is never cut short: no write awaits anything."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(work)
        await stopped.wait()
        task.cancel()
    _log.info("sidecar.stopped")
