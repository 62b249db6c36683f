"""Plugins as people see them: switched on and off for all processes, and read anew from their directory."""

import asyncio
from collections.abc import Iterable
from pathlib import Path

import structlog

from alertagent.core.audit.model import Actor
from alertagent.core.audit.service import Audit
from alertagent.core.notify.kinds import regroup_task
from alertagent.kernel.errors import Conflict
from alertagent.plugins.registry import Broken, Registry
from alertagent.queue.producer import Producer
from alertagent.storage.database import Database
from alertagent.storage.listening import Listening
from alertagent.storage.queries import load_queries

CHANNEL = "alertagent_plugins"

sql = load_queries("alertagent.core.notify")

log = structlog.get_logger()


class Plugins:
    """The registry, and what this database says of its plugins. `following` runs as long as the process."""

    def __init__(
        self,
        database: Database,
        audit: Audit,
        producer: Producer,
        *,
        registry: Registry,
        directory: Path | None,
        listening: Listening,
    ) -> None:
        self._database = database
        self._audit = audit
        self._producer = producer
        self._registry = registry
        self._directory = directory
        self._changed = asyncio.Event()
        self._reloading = asyncio.Lock()
        self._shown: frozenset[Broken] = frozenset()
        listening.subscribe({CHANNEL: lambda _payload: self._changed.set()}, self._changed.set)

    async def disabled(self) -> frozenset[str]:
        return frozenset(row["name"] for row in await self._database.fetch(sql.disabled_plugins))

    async def require_enabled(self, name: str) -> None:
        """Raises Conflict."""
        if name in await self.disabled():
            message = f"the plugin {name} is switched off; PUT /plugins/{name} switches it on"
            raise Conflict(message, code="plugin.disabled")

    async def switch(self, actor: Actor, name: str, *, enabled: bool) -> None:
        """Let all channels of a plugin tell, or none of them. Raises NotFound."""
        self._registry.notifier(name)
        async with self._database.transaction() as transaction:
            if await transaction.fetchval(sql.switch_plugin, name, enabled, actor.name) is None:
                return
            action = "plugin.enabled" if enabled else "plugin.disabled"
            await self._audit.record(transaction, actor, action, ("plugin", name))
            await self._producer.enqueue(transaction, regroup_task())

    async def reload(self, actor: Actor) -> None:
        """Read the directory anew, here and in all other processes. Raises Conflict where there is none."""
        if self._directory is None:
            raise Conflict("there is no directory of plugins; set plugins.directory", code="plugin.no_directory")
        async with self._database.transaction() as transaction:  # before: no code runs that nobody can be asked for
            await transaction.execute(sql.announce_plugins, CHANNEL)
            await self._audit.record(transaction, actor, "plugins.reloaded", ("plugins", str(self._directory)))
        await self._reload(self._directory)

    async def following(self) -> None:
        """Read the directory at the start, when another process was told to, and when that may have been missed."""
        self._tell(self._registry.broken)
        while self._directory is not None:
            await self._changed.wait()
            self._changed.clear()
            await self._reload(self._directory)

    async def _reload(self, directory: Path) -> None:
        async with self._reloading:
            await asyncio.to_thread(self._registry.reload, directory)
        self._tell(self._registry.broken)

    def _tell(self, broken: Iterable[Broken]) -> None:
        """Each of them once, until it is another trouble."""
        found = frozenset(broken)
        for each in found - self._shown:
            log.warning("plugin.broken", plugin=each.name, place=each.place, reason=each.reason)
        self._shown = found
