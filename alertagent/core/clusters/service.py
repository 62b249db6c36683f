"""The registry of clusters."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any, Protocol

from alertagent.core.audit.model import Actor
from alertagent.core.audit.service import Audit
from alertagent.core.clusters.changes import count_change
from alertagent.core.clusters.model import Cluster, ConfigType
from alertagent.kernel.errors import Conflict, Detail, Invalid, NotFound, Stale
from alertagent.storage.database import Database, Executor, Transaction
from alertagent.storage.pages import Column, Listing, PageOf, PageRequest, fetch_page
from alertagent.storage.queries import load_queries

sql = load_queries("alertagent.core.clusters")

LISTING = Listing(
    source=sql.listing,
    columns={
        "id": Column("t.id"),
        "name": Column("t.name"),
        "created_at": Column("t.created_at", "timestamptz"),
        "updated_at": Column("t.updated_at", "timestamptz"),
    },
    sort="id",
    key="t.id",
    labels="t.labels",
    search=("t.id", "t.name"),
)

_EDITABLE = ("name", "labels", "parameters", "config_types", "query_url")


class Misfits(Protocol):
    """Who knows what a change of a cluster would break."""

    async def misfits(self, executor: Executor, before: Cluster | None, after: Cluster) -> Sequence[Detail]: ...


class Clusters:
    """Clusters come by hand, or by themselves when a sidecar that may register one asks for its configuration."""

    def __init__(self, database: Database, audit: Audit, *, check_url: Callable[[str], Awaitable[None]]) -> None:
        self._database = database
        self._audit = audit
        self._check_url = check_url
        self._misfits: Misfits | None = None

    def guard(self, misfits: Misfits) -> None:
        """Ask before each change what it would break."""
        self._misfits = misfits

    async def all(self) -> list[Cluster]:
        return [cluster_of(row) for row in await self._database.fetch(sql.all)]

    async def page(self, request: PageRequest) -> PageOf:
        return await fetch_page(self._database, LISTING, request)

    async def get(self, id: str) -> Cluster:
        """Raises NotFound."""
        row = await self._database.fetchrow(sql.find, id)
        if row is None:
            raise _unknown(id)
        return cluster_of(row)

    async def add(self, actor: Actor, id: str, values: Mapping[str, Any]) -> Cluster:
        """Raises Conflict when the id is taken, Invalid when the query URL is not one we may call."""
        await self._check_query_url(values)
        async with self._database.transaction() as transaction:
            row = await transaction.fetchrow(sql.add, id, *_columns({"name": id, **values}))
            if row is None:
                raise Conflict(f'there is a cluster "{id}" already', code="cluster.exists")
            cluster = cluster_of(row)
            await self._require_fit(transaction, None, cluster)
            await self._note(transaction, actor, "cluster.created", None, cluster)
        return cluster

    async def register(self, actor: Actor, id: str, config_type: ConfigType) -> Cluster:
        """The cluster of this id, made if it has to be."""
        async with self._database.transaction() as transaction:
            row = await transaction.fetchrow(sql.find_for_change, id)
            if row is None:
                row = await transaction.fetchrow(sql.add, id, id, {}, {}, [config_type], None)
                if row is not None:
                    await self._note(transaction, actor, "cluster.registered", None, cluster_of(row))
        return await self.get(id) if row is None else cluster_of(row)

    async def revise(
        self, actor: Actor, id: str, changes: Mapping[str, Any], expected: frozenset[int] | None
    ) -> Cluster:
        """Replace the values given. Raises NotFound, Stale, Invalid."""
        await self._check_query_url(changes)
        async with self._database.transaction() as transaction:
            before = await self._current(transaction, id, expected)
            values = {name: getattr(before, name) for name in _EDITABLE} | dict(changes)
            if all(getattr(before, name) == values[name] for name in _EDITABLE):
                return before
            after = cluster_of(await transaction.fetchrow(sql.replace, id, *_columns(values)))
            await self._require_fit(transaction, before, after)
            await self._note(transaction, actor, "cluster.updated", before, after)
        return after

    async def remove(self, actor: Actor, id: str, expected: frozenset[int] | None) -> None:
        """Forget the cluster, its snapshots, sidecars and tokens. Rules keep it as a target that waits."""
        async with self._database.transaction() as transaction:
            before = await self._current(transaction, id, expected)
            await transaction.execute(sql.revoke_tokens, id)
            await transaction.execute(sql.remove, id)
            await self._note(transaction, actor, "cluster.deleted", before, None)

    async def _current(self, transaction: Executor, id: str, expected: frozenset[int] | None) -> Cluster:
        row = await transaction.fetchrow(sql.find_for_change, id)
        if row is None:
            raise _unknown(id)
        if expected is not None and row["revision"] not in expected:
            raise Stale(f'cluster "{id}" was changed in the meantime; it is at revision {row["revision"]}')
        return cluster_of(row)

    async def _require_fit(self, executor: Executor, before: Cluster | None, after: Cluster) -> None:
        """Raises Invalid with every rule that would no longer be valid there."""
        decisive = ("name", "labels", "parameters", "config_types")
        if self._misfits is None or (before and all(getattr(before, n) == getattr(after, n) for n in decisive)):
            return
        if details := await self._misfits.misfits(executor, before, after):
            more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
            raise Invalid(details[0].message + more, code="cluster.breaks_rules", details=details[:100])

    async def _check_query_url(self, values: Mapping[str, Any]) -> None:
        """A URL is read by every viewer, so none may hold a password."""
        url = values.get("query_url")
        if url is None:
            return
        if "@" in url.partition("//")[2].partition("/")[0]:
            message = "leave user and password out of the URL"
            raise Invalid(message, code="cluster.query_url_secret", details=[Detail(("query_url",), message)])
        await self._check_url(url)

    async def _note(
        self, transaction: Transaction, actor: Actor, action: str, before: Cluster | None, after: Cluster | None
    ) -> None:
        cluster = after or before
        if cluster is not None:
            await count_change(transaction, cluster.id)
            await self._audit.record(
                transaction,
                actor,
                action,
                ("cluster", cluster.id),
                before=asdict(before) if before else None,
                after=asdict(after) if after else None,
            )


def cluster_of(row: Any) -> Cluster:
    values = {field.name: row[field.name] for field in fields(Cluster)}
    return Cluster(**{**values, "config_types": tuple(map(ConfigType, row["config_types"]))})


def _columns(values: Mapping[str, Any]) -> list[Any]:
    return [
        values["name"],
        values.get("labels", {}),
        values.get("parameters", {}),
        list(values.get("config_types", (ConfigType.PROMETHEUS,))),
        values.get("query_url"),
    ]


def _unknown(id: str) -> NotFound:
    return NotFound(f'there is no cluster "{id}"', code="cluster.not_found")
