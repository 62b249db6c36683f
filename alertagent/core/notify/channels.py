"""Channels: making, changing and reading them, secrets kept to ourselves."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any, Protocol

import asyncpg

from alertagent.core.audit.model import SYSTEM, Actor
from alertagent.core.audit.service import Audit
from alertagent.core.notify.kinds import regroup_task
from alertagent.core.notify.model import Channel
from alertagent.core.notify.pools import check_pool
from alertagent.core.routing.model import USER, user_receiver
from alertagent.kernel.errors import Conflict, Detail, Invalid, NotFound, Stale
from alertagent.kernel.ids import new_id
from alertagent.kernel.language import Language
from alertagent.kernel.message import Message
from alertagent.plugins.addresses import AddressGuard
from alertagent.plugins.base import Health, Worded
from alertagent.plugins.notifiers.webhook import Webhook
from alertagent.plugins.outcome import Outcome
from alertagent.plugins.registry import Registry
from alertagent.plugins.saving import checked, masked
from alertagent.plugins.transport import Transport
from alertagent.queue.producer import Producer
from alertagent.storage.database import Database, Executor, Transaction
from alertagent.storage.pages import Column, Listing, PageRequest, fetch_page
from alertagent.storage.queries import load_queries
from alertagent.storage.sealing import Column as SealedColumn
from alertagent.storage.sealing import Unreadable
from alertagent.storage.seals import Sealer, Seals

sql = load_queries("alertagent.core.notify")

LISTING = Listing(
    source=sql.channels,
    columns={
        "id": Column("t.id"),
        "name": Column("t.name"),
        "plugin_name": Column("t.plugin_name"),
        "enabled": Column("t.enabled", "boolean"),
        "default": Column("t.is_default", "boolean"),
        "updated_at": Column("t.updated_at", "timestamptz"),
        "user_id": Column("t.user_id"),
    },
    sort="name",
    key="t.id",
    search=("t.name",),
)

CONFIG = SealedColumn(table="user_notification_configs", name="config", key=("id",))

# What a channel is that nobody said more of.
_NEW: Mapping[str, Any] = {
    "enabled": True,
    "is_default": False,
    "fallback": (),
    "user_id": None,
    "min_severity": None,
    "quiet_hours": None,
    "pool": (),
    "language": None,
    "template": None,
}

# So many routes, and so much of the name of each, stand in an error.
_NAMED, _SHOWN = 5, 200

_EDITABLE = (
    "name",
    "plugin_name",
    "config",
    "enabled",
    "is_default",
    "fallback",
    "user_id",
    "min_severity",
    "quiet_hours",
    "pool",
    "language",
    "template",
)
_LISTS = frozenset({"fallback", "pool"})


class Routes(Protocol):
    """Who tells where a channel, or a user as `user:<id>`, is wanted."""

    async def leading_to(self, channel: str, executor: Executor) -> Sequence[str]: ...


class Channels:
    """All channels, and the plugins they are made of."""

    def __init__(
        self,
        database: Database,
        audit: Audit,
        producer: Producer,
        *,
        registry: Registry,
        guard: AddressGuard,
        transport: Transport,
        seals: Seals,
    ) -> None:
        self._database = database
        self._seals = seals
        self._registry = registry
        self._audit = audit
        self._producer = producer
        self._guard = guard
        self._transport = transport
        self._routes: Routes | None = None

    def guard(self, routes: Routes) -> None:
        """Ask before a channel goes, or gets another name, whether somebody is told by it."""
        self._routes = routes

    async def get(self, id: str) -> Channel:
        """Raises NotFound."""
        row = await self._database.fetchrow(sql.find_channel, id)
        if row is None:
            raise _unknown(id)
        return channel_of(row, self._seals)

    async def named(self, names: Iterable[str], executor: Executor | None = None) -> dict[str, Channel]:
        """Those of these channels that exist, by name."""
        rows = await (executor or self._database).fetch(sql.channels_named, list(names))
        return {row["name"]: channel_of(row, self._seals) for row in rows}

    async def behind(self, names: Iterable[str], executor: Executor) -> dict[str, list[Channel]]:
        """The channel of each of these names, or those of the user."""
        found: dict[str, list[Channel]] = {}
        for row in await executor.fetch(sql.channels_behind, list(names)):
            channel = channel_of(row, self._seals)
            for name in (channel.name, *(() if channel.user_id is None else [user_receiver(channel.user_id)])):
                found.setdefault(name, []).append(channel)
        return found

    async def names(self, executor: Executor | None = None) -> dict[str, bool]:
        """All names, users' too, and whether the channel hears of everything while no routing document is stored."""
        rows = await (executor or self._database).fetch(sql.channel_names)
        return {row["name"]: row["hears_everything"] for row in rows}

    async def hold(self, transaction: Executor, names: Sequence[str]) -> set[str]:
        """Those of these channels and users that exist; until the transaction ends they lead where they do."""
        rows = await transaction.fetch(sql.hold_channels, names)
        return {name for row in rows for name in (row["name"], row["user_name"]) if name in names}

    async def all(self) -> list[Channel]:
        return [channel_of(row, self._seals) for row in await self._database.fetch(sql.channels)]

    async def page(self, request: PageRequest) -> tuple[list[Channel], str | None, int | None]:
        page = await fetch_page(self._database, LISTING, request)
        return [channel_of(row, self._seals) for row in page.rows], page.next_cursor, page.total

    async def add(self, actor: Actor, values: Mapping[str, Any]) -> Channel:
        """Store a channel. Raises Invalid with the place of each finding, Conflict when the name is taken."""
        _require_own_name(values["name"])
        config = await self._checked(values["plugin_name"], values["config"], {})
        await self._check_pool(values)
        self._require_worded(values)
        async with self._database.transaction() as transaction:
            return await self.insert(transaction, actor, {**values, "config": config})

    async def webhook(self, name: str, url: str) -> dict[str, Any]:
        """The values of a new channel that posts to this URL. Raises Invalid."""
        _require_own_name(name)
        config = await self._checked(Webhook.name, {"url": url}, {})
        return {"name": name, "plugin_name": Webhook.name, "config": config, **_NEW}

    async def insert(self, transaction: Transaction, actor: Actor, values: Mapping[str, Any]) -> Channel:
        """Store a channel whose settings were checked. Raises Conflict when the name is taken."""
        id, sealer = new_id(), await self._seals.sealer(transaction)
        try:
            row = await transaction.fetchrow(sql.add_channel, id, *_columns(id, {**_NEW, **values}, sealer))
        except asyncpg.ForeignKeyViolationError as error:
            raise _no_template(values["template"]) from error
        if row is None:
            raise _taken(values["name"])
        channel = channel_of(row, self._seals)
        await self._note(transaction, actor, "channel.created", None, channel)
        await self._producer.enqueue(transaction, regroup_task())
        return channel

    async def revise(
        self, actor: Actor, id: str, changes: Mapping[str, Any], expected: frozenset[int] | None
    ) -> Channel:
        """Replace what is given; `"***"` keeps a secret. Raises NotFound, Stale, Invalid, Conflict."""
        while True:
            base = await self.get(id)
            after = await self._replaced(actor, base, await self._revised(base, changes), expected)
            if after is not None:
                return after

    async def _revised(self, base: Channel, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Every editable value with the changes in it, checked; that may take a look at the network."""
        values = {name: getattr(base, name) for name in _EDITABLE} | dict(changes)
        if values["name"] != base.name:
            _require_own_name(values["name"])
        if "config" not in changes:
            require_readable(base)
        same_plugin = values["plugin_name"] == base.plugin_name
        if "config" in changes or not same_plugin:
            stored = base.config if same_plugin else {}
            values["config"] = await self._checked(values["plugin_name"], values["config"], stored)
        if "pool" in changes or not same_plugin:
            await self._check_pool(values)
        self._require_worded(values)
        return values

    async def _check_pool(self, values: Mapping[str, Any]) -> None:
        if pool := values.get("pool"):
            plugin = self._registry.notifier(values["plugin_name"])
            leader = await self._database.fetchval(sql.speaks_for, values["name"])
            check_pool(values["name"], pool, plugin, await self.named(pool), speaks_for=leader)

    async def _replaced(
        self, actor: Actor, base: Channel, values: Mapping[str, Any], expected: frozenset[int] | None
    ) -> Channel | None:
        """Store the values; None when the channel they were made from is not the current one any more."""
        try:
            async with self._database.transaction() as transaction:
                before = await self._current(transaction, base.id, expected)
                if before.revision != base.revision:
                    return None
                if before.unreadable is None and all(getattr(before, name) == values[name] for name in _EDITABLE):
                    return before
                if values["name"] != before.name:
                    await self._require_unrouted(transaction, before, "renamed")
                if values["user_id"] != before.user_id:
                    await self._require_user_unrouted(transaction, before, "given away")
                columns = _columns(base.id, values, await self._seals.sealer(transaction))
                row = await transaction.fetchrow(sql.replace_channel, base.id, *columns)
                after = channel_of(row, self._seals)
                await transaction.execute(sql.forget_failures, base.id)
                if (after.plugin_name, after.config) != (before.plugin_name, before.config):
                    await transaction.execute(sql.forget_threads, base.id)
                await self._note(transaction, actor, "channel.updated", before, after)
                await self._producer.enqueue(transaction, regroup_task())
        except asyncpg.UniqueViolationError as error:
            raise _taken(values["name"]) from error
        except asyncpg.ForeignKeyViolationError as error:
            raise _no_template(values["template"]) from error
        return after

    async def remove(self, actor: Actor, id: str, expected: frozenset[int] | None) -> None:
        async with self._database.transaction() as transaction:
            before = await self._current(transaction, id, expected)
            await self._require_unrouted(transaction, before, "deleted")
            await self._require_user_unrouted(transaction, before, "deleted")
            await transaction.execute(sql.remove_channel, id)
            await self._note(transaction, actor, "channel.deleted", before, None)

    async def disable(self, channel: Channel, reason: str) -> None:
        """The receiver asks never to be called again."""
        async with self._database.transaction() as transaction:
            await transaction.execute(sql.disable_channel, channel.id)
            await self._audit.record(
                transaction, SYSTEM, "channel.disabled", ("channel", channel.id), after={"reason": reason}
            )

    async def send(self, plugin_name: str, config: Mapping[str, Any], message: Message) -> Outcome:
        """Send a message with these settings at once and tell what the provider said."""
        plugin = self._registry.notifier(plugin_name)
        settings = plugin.validate_config(await self._checked(plugin_name, config, {}))
        return await plugin.send(settings, message, self._transport, now=datetime.now(UTC))

    async def check(self, channel: Channel) -> Health:
        """Whether it could deliver, as far as can be told without posting anything. Raises NotFound, Invalid."""
        plugin = self._registry.notifier(channel.plugin_name)
        return await plugin.health_check(plugin.validate_config(channel.config), self._transport)

    def masked(self, channel: Channel) -> dict[str, Any]:
        """The settings fit for reading; of a plugin that is gone, nothing is known to be harmless."""
        return masked(self._registry.notifiers.get(channel.plugin_name), channel.config)

    async def _checked(self, plugin_name: str, config: Mapping[str, Any], stored: Mapping[str, Any]) -> dict[str, Any]:
        try:
            plugin = self._registry.notifier(plugin_name)
        except NotFound as problem:
            raise Invalid(
                problem.message, code="channel.plugin_unknown", details=[Detail(("plugin_name",), problem.message)]
            ) from problem
        return await checked(plugin, config, stored, self._guard)

    def _require_worded(self, values: Mapping[str, Any]) -> None:
        """A template where its plugin has a use for one. A plugin that is gone is let be."""
        plugin = self._registry.notifiers.get(values["plugin_name"])
        if values.get("template") is not None and plugin is not None and plugin.worded is Worded.NOTHING:
            message = f"messages of {plugin.name} are for programs: no template can word them"
            raise Invalid(message, code="channel.template_unusable", details=[Detail(("template",), message)])

    async def _current(self, transaction: Executor, id: str, expected: frozenset[int] | None) -> Channel:
        row = await transaction.fetchrow(sql.find_channel_for_change, id)
        if row is None:
            raise _unknown(id)
        if expected is not None and row["revision"] not in expected:
            raise Stale(f'channel "{row["name"]}" was changed in the meantime; it is at revision {row["revision"]}')
        return channel_of(row, self._seals)

    async def _require_unrouted(self, transaction: Executor, channel: Channel, done: str) -> None:
        if shown := await self._places(transaction, channel.name):
            message = (
                f'channel "{channel.name}" cannot be {done} while the routing document names it: {shown}. '
                "Take it out there first"
            )
            raise Conflict(message, code="channel.routed")

    async def _require_user_unrouted(self, transaction: Executor, channel: Channel, done: str) -> None:
        """Who has no channel is no user: the last one stays for as long as the routing document names its user."""
        if channel.user_id is None:
            return
        await transaction.execute(sql.lock_user, channel.user_id)
        if await transaction.fetchval(sql.has_another, channel.user_id, channel.id):
            return
        user = user_receiver(channel.user_id)
        if shown := await self._places(transaction, user):
            message = (
                f'channel "{channel.name}" is the last of {user} and cannot be {done} while the routing document names '
                f"them: {shown}. Take them out there first, or switch the channel off"
            )
            raise Conflict(message, code="channel.routed")

    async def _places(self, transaction: Executor, name: str) -> str:
        """Where the routing document names this channel or user; empty where it does not."""
        places = await self._routes.leading_to(name, transaction) if self._routes is not None else ()
        more = f" and {len(places) - _NAMED} more" if len(places) > _NAMED else ""
        return ", ".join(place[:_SHOWN] for place in places[:_NAMED]) + more

    async def _note(
        self, transaction: Executor, actor: Actor, action: str, before: Channel | None, after: Channel | None
    ) -> None:
        channel = after or before
        if channel is not None:
            await self._audit.record(
                transaction,
                actor,
                action,
                ("channel", channel.id),
                before=self._audited(before),
                after=self._audited(after),
            )

    def _audited(self, channel: Channel | None) -> dict[str, Any] | None:
        if channel is None:
            return None
        return {name: getattr(channel, name) for name in _EDITABLE} | {"config": self.masked(channel)}


def channel_of(row: Any, seals: Seals) -> Channel:
    values = {field.name: row[field.name] for field in fields(Channel) if field.name != "unreadable"}
    settings, unreadable = seals.tried(CONFIG.at(row["id"]), row["config"])
    lists = {name: tuple(row[name]) for name in _LISTS}
    language = None if row["language"] is None else Language(row["language"])
    return Channel(**{**values, **lists, "language": language, "config": settings or {}, "unreadable": unreadable})


def require_readable(channel: Channel) -> None:
    """Raises Unreadable."""
    if channel.unreadable is not None:
        raise Unreadable(f'channel "{channel.name}": {channel.unreadable}')


def _columns(id: str, values: Mapping[str, Any], sealer: Sealer) -> list[Any]:
    stored = {**values, "config": sealer.sealed(CONFIG.at(id), values["config"])}
    return [list(stored[name]) if name in _LISTS else stored[name] for name in _EDITABLE]


def _require_own_name(name: str) -> None:
    if name.startswith(USER):
        message = f'a name that begins with "{USER}" stands for all channels of a user; set "user_id" to make it theirs'
        raise Invalid(message, code="channel.name_reserved", details=[Detail(("name",), message)])


def _taken(name: str) -> Conflict:
    return Conflict(f'there is a channel "{name}" already', code="channel.exists")


def _no_template(name: str) -> Invalid:
    message = f'there is no template "{name}"'
    return Invalid(message, code="channel.template_unknown", details=[Detail(("template",), message)])


def _unknown(id: str) -> NotFound:
    return NotFound(f'there is no channel "{id}"', code="channel.not_found")
