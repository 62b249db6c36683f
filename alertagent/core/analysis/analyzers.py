"""Analyzers: making, changing and reading them, secrets kept to ourselves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import asyncpg

from alertagent.core.analysis.model import AnalyzerSetup
from alertagent.core.audit.model import Actor
from alertagent.core.audit.service import Audit
from alertagent.kernel.breaker import Breaker
from alertagent.kernel.errors import Conflict, Detail, Invalid, NotFound, Permanent, Stale
from alertagent.kernel.ids import new_id
from alertagent.plugins.addresses import AddressGuard
from alertagent.plugins.analysis import Analyzer
from alertagent.plugins.registry import Registry
from alertagent.plugins.saving import checked, masked
from alertagent.storage.breakers import Breakers
from alertagent.storage.database import Database, Executor, Transaction
from alertagent.storage.pages import Column, Listing, PageRequest, fetch_page
from alertagent.storage.queries import load_queries
from alertagent.storage.sealing import Column as SealedColumn
from alertagent.storage.sealing import Unreadable
from alertagent.storage.seals import Sealer, Seals

sql = load_queries("alertagent.core.analysis")

LISTING = Listing(
    source=sql.analyzers,
    columns={
        "id": Column("t.id"),
        "name": Column("t.name"),
        "provider": Column("t.provider"),
        "enabled": Column("t.enabled", "boolean"),
        "default": Column("t.is_default", "boolean"),
        "updated_at": Column("t.updated_at", "timestamptz"),
    },
    sort="name",
    key="t.id",
    search=("t.name",),
)

CONFIG = SealedColumn(table="analyzers", name="config", key=("id",))

BUILT_IN = "heuristic"

_EDITABLE = ("name", "provider", "config", "enabled", "is_default")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Who will be asked. `circuit` names those who fail together with it; None: it cannot fail."""

    id: str | None
    name: str
    plugin: Analyzer[Any]
    config: Mapping[str, Any] = field(repr=False)

    @property
    def circuit(self) -> str | None:
        return self.plugin.circuit(self.config)


class Analyzers:
    """All analyzers, and the plugins they are made of."""

    def __init__(
        self,
        database: Database,
        audit: Audit,
        breakers: Breakers,
        *,
        registry: Registry,
        guard: AddressGuard,
        seals: Seals,
    ) -> None:
        self._database = database
        self._seals = seals
        self._audit = audit
        self._breakers = breakers
        self._registry = registry
        self._guard = guard

    async def get(self, id: str) -> AnalyzerSetup:
        """Raises NotFound."""
        row = await self._database.fetchrow(sql.find_analyzer, id)
        if row is None:
            raise _unknown(id)
        return _setup(row, self._seals)

    async def page(self, request: PageRequest) -> tuple[list[AnalyzerSetup], str | None, int | None]:
        page = await fetch_page(self._database, LISTING, request)
        return [_setup(row, self._seals) for row in page.rows], page.next_cursor, page.total

    async def default(self, executor: Executor | None = None) -> Chosen:
        """Who is asked now. Raises NotFound for a plugin that is gone, Unreadable."""
        row = await (executor or self._database).fetchrow(sql.default_analyzer)
        return self.chosen(_setup(row, self._seals)) if row is not None else self._built_in()

    async def of_run(self, id: str | None) -> Chosen:
        """Whom a run was planned for. Raises Permanent when that one is gone or switched off, Unreadable."""
        if id is None:
            return self._built_in()
        try:
            setup = await self.get(id)
            if not setup.enabled:
                raise Permanent(f'analyzer "{setup.name}" is switched off', code="analyzer.disabled")
            return self.chosen(setup)
        except NotFound as problem:
            raise Permanent(problem.message, code=problem.code) from problem

    def chosen(self, setup: AnalyzerSetup) -> Chosen:
        """Raises NotFound for a plugin that is gone, Unreadable."""
        _require_readable(setup)
        plugin = self._registry.analyzer(setup.provider)
        return Chosen(id=setup.id, name=setup.name, plugin=plugin, config=setup.config)

    async def add(self, actor: Actor, values: Mapping[str, Any]) -> AnalyzerSetup:
        """Store an analyzer. Raises Invalid with the place of each finding, Conflict when the name is taken."""
        config = await self._checked(values["provider"], values["config"], {})
        async with self._database.transaction() as transaction:
            id, values = new_id(), {**values, "config": config}
            await self._make_room(transaction, id, values)
            columns = _columns(id, values, await self._seals.sealer(transaction))
            row = await transaction.fetchrow(sql.add_analyzer, id, *columns)
            if row is None:
                raise _taken(values["name"])
            setup = _setup(row, self._seals)
            await self._note(transaction, actor, "analyzer.created", None, setup)
        return setup

    async def revise(
        self, actor: Actor, id: str, changes: Mapping[str, Any], expected: frozenset[int] | None
    ) -> AnalyzerSetup:
        """Replace what is given; `"***"` keeps a secret. Raises NotFound, Stale, Invalid, Conflict."""
        base = await self.get(id)
        values = {name: getattr(base, name) for name in _EDITABLE} | dict(changes)
        if "config" not in changes:
            _require_readable(base)
        if "config" in changes or "provider" in changes:
            stored = base.config if values["provider"] == base.provider else {}
            values["config"] = await self._checked(values["provider"], values["config"], stored)
        try:
            async with self._database.transaction() as transaction:
                before = await self._current(transaction, id, expected)
                if before.revision != base.revision:
                    raise Conflict(f'analyzer "{base.name}" was changed in the meantime; try again')
                if before.unreadable is None and all(getattr(before, name) == values[name] for name in _EDITABLE):
                    return before
                await self._make_room(transaction, id, values)
                columns = _columns(id, values, await self._seals.sealer(transaction))
                after = _setup(await transaction.fetchrow(sql.replace_analyzer, id, *columns), self._seals)
                await self._note(transaction, actor, "analyzer.updated", before, after)
        except asyncpg.UniqueViolationError as error:
            raise _taken(values["name"]) from error
        return after

    async def remove(self, actor: Actor, id: str, expected: frozenset[int] | None) -> None:
        """Runs that were planned for it fail."""
        async with self._database.transaction() as transaction:
            before = await self._current(transaction, id, expected)
            await transaction.execute(sql.remove_analyzer, id)
            await self._note(transaction, actor, "analyzer.deleted", before, None)

    def masked(self, setup: AnalyzerSetup) -> dict[str, Any]:
        """The settings fit for reading."""
        return masked(self._registry.analyzers.get(setup.provider), setup.config)

    async def circuits(self, setups: Sequence[AnalyzerSetup]) -> Mapping[str, Breaker]:
        """The breaker of each analyzer that can fail, by the analyzer's id."""
        keys = {setup.id: self._circuit(setup) for setup in setups}
        found = await self._breakers.look({key for key in keys.values() if key is not None})
        return {id: found.get(key, Breaker()) for id, key in keys.items() if key is not None}

    async def reset(self, actor: Actor, setup: AnalyzerSetup) -> None:
        """Close its breaker. Raises Conflict where it has none."""
        circuit = self._circuit(setup)
        if circuit is None:
            raise Conflict(
                f'analyzer "{setup.name}" has no breaker: its plugin asks nobody, or is not installed',
                code="analyzer.no_breaker",
            )
        async with self._database.transaction() as transaction:
            await self._breakers.reset(transaction, circuit)
            await self._audit.record(transaction, actor, "analyzer.breaker_reset", ("analyzer", setup.id))

    def _circuit(self, setup: AnalyzerSetup) -> str | None:
        plugin = self._registry.analyzers.get(setup.provider)
        try:
            return plugin.circuit(setup.config) if plugin is not None else None
        except Invalid:  # settings of another release of the plugin
            return None

    def _built_in(self) -> Chosen:
        return Chosen(id=None, name=BUILT_IN, plugin=self._registry.analyzer(BUILT_IN), config={})

    async def _checked(self, provider: str, config: Mapping[str, Any], stored: Mapping[str, Any]) -> dict[str, Any]:
        try:
            plugin = self._registry.analyzer(provider)
        except NotFound as problem:
            details = [Detail(("provider",), problem.message)]
            raise Invalid(problem.message, code="analyzer.provider_unknown", details=details) from problem
        return await checked(plugin, config, stored, self._guard)

    async def _make_room(self, transaction: Transaction, id: str, values: Mapping[str, Any]) -> None:
        """There is one default at most: the last one that was made it."""
        if values["is_default"]:
            await transaction.execute(sql.lock_analyzers)
            await transaction.execute(sql.no_default, id)

    async def _current(self, transaction: Executor, id: str, expected: frozenset[int] | None) -> AnalyzerSetup:
        row = await transaction.fetchrow(sql.find_analyzer_for_change, id)
        if row is None:
            raise _unknown(id)
        if expected is not None and row["revision"] not in expected:
            raise Stale(f'analyzer "{row["name"]}" was changed in the meantime; it is at revision {row["revision"]}')
        return _setup(row, self._seals)

    async def _note(
        self,
        transaction: Executor,
        actor: Actor,
        action: str,
        before: AnalyzerSetup | None,
        after: AnalyzerSetup | None,
    ) -> None:
        setup = after or before
        if setup is not None:
            subject = ("analyzer", setup.id)
            seen = {"before": self._audited(before), "after": self._audited(after)}
            await self._audit.record(transaction, actor, action, subject, **seen)

    def _audited(self, setup: AnalyzerSetup | None) -> dict[str, Any] | None:
        if setup is None:
            return None
        return {name: getattr(setup, name) for name in _EDITABLE} | {"config": self.masked(setup)}


def _setup(row: Any, seals: Seals) -> AnalyzerSetup:
    values = {field.name: row[field.name] for field in fields(AnalyzerSetup) if field.name != "unreadable"}
    settings, unreadable = seals.tried(CONFIG.at(row["id"]), row["config"])
    return AnalyzerSetup(**{**values, "config": settings or {}, "unreadable": unreadable})


def _require_readable(setup: AnalyzerSetup) -> None:
    if setup.unreadable is not None:
        raise Unreadable(f'analyzer "{setup.name}": {setup.unreadable}')


def _columns(id: str, values: Mapping[str, Any], sealer: Sealer) -> list[Any]:
    stored = {**values, "config": sealer.sealed(CONFIG.at(id), values["config"])}
    return [stored[name] for name in _EDITABLE]


def _taken(name: str) -> Conflict:
    return Conflict(f'there is an analyzer "{name}" already', code="analyzer.exists")


def _unknown(id: str) -> NotFound:
    return NotFound(f'there is no analyzer "{id}"', code="analyzer.not_found")
