"""The routing document over HTTP."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Annotated, Any

from pydantic import Field

from alertagent.core.alertmanager.api import Comment, DiffQuery, DiffView, RollbackRequest, VersionView
from alertagent.core.audit.model import actor_of
from alertagent.core.routing.document import Judged, read_json, read_yaml
from alertagent.core.routing.exchange import Exchange, Plan
from alertagent.core.routing.moves import Moves
from alertagent.core.routing.service import Proposal, Routing, Version
from alertagent.core.routing.table import default_values
from alertagent.core.routing.text import values_of
from alertagent.core.rules.files_api import JSON, YAML
from alertagent.core.rules.views import Finding, finding
from alertagent.kernel.errors import Detail, Invalid
from alertagent.web.access import editor, viewer
from alertagent.web.call import Call
from alertagent.web.models import Model
from alertagent.web.replies import Page, Reply
from alertagent.web.routes import delete, get, post, put

Values = dict[str, Any]


class PutQuery(Model):
    dry_run: Annotated[
        bool, Field(description="Judge, and show what would change and which alerts would go elsewhere; store nothing.")
    ] = False
    comment: Comment = ""


class ImportQuery(PutQuery):
    map: Annotated[
        tuple[Annotated[str, Field(max_length=500)], ...],
        Field(max_length=500, description="`theirs:ours`: the channel that takes the part of one of their receivers."),
    ] = ()


class RemoveQuery(Model):
    comment: Comment = ""


class MoveView(Model):
    """An alert that other channels would hear of than do today."""

    fingerprint: str
    labels: dict[str, str]
    from_: Annotated[tuple[str, ...], Field(serialization_alias="from")]
    to: tuple[str, ...]


class MovesView(Model):
    """`count` of the `looked_at` firing alerts would go elsewhere; `total` is null where more fire than are counted."""

    count: int
    looked_at: int
    total: int | None
    first: tuple[MoveView, ...]


class DocumentView(Model):
    """The document, under Alertmanager's names; these four fields can be put back as they are."""

    route: Values
    inhibit_rules: tuple[Values, ...] = ()
    time_intervals: tuple[Values, ...] = ()
    receivers: tuple[Values, ...] = ()


class RoutingView(DocumentView):
    """`stored` is false while none is in force: then the document says what happens without one.

    `diff` and `moves` are there in a dry run, `created_channels` for an import.
    """

    version: str | None
    stored: bool
    updated_by: str | None = None
    updated_at: datetime | None = None
    comment: str = ""
    warnings: tuple[Finding, ...] = ()
    diff: str | None = None
    moves: MovesView | None = None
    created_channels: tuple[str, ...] | None = None


class DocumentVersion(VersionView):
    """`text` is YAML as it was given. Both are null where the document was deleted."""

    document: DocumentView | None
    text: str | None


class RoutingApi:
    def __init__(self, routing: Routing, exchange: Exchange) -> None:
        self._routing = routing
        self._exchange = exchange

    @get("/routing", access=viewer("routing:read"))
    async def read(self, call: Call) -> Reply[RoutingView]:
        """The routing document in force, or what happens while none is stored."""
        current = await self._routing.current()
        if current.document is not None:
            return await _reply(current)
        values = default_values(await self._routing.everybody())
        tag = sha256(repr(values).encode()).hexdigest()[:16]
        return Reply(data=RoutingView(**values, version=None, stored=False), etag=f"{current.revision}-{tag}")

    @put("/routing", access=editor("routing:write"), reads=(JSON, *YAML))
    async def replace(self, call: Call, query: PutQuery, body: bytes) -> Reply[RoutingView]:
        """Store the routing document: which channels hear of which alerts."""
        judged = await asyncio.to_thread(_judged, call.media_type, body)
        if query.dry_run:
            return await _proposed(await self._routing.propose(judged))
        return await _reply(await self._routing.put(actor_of(call), judged, call.expected, query.comment))

    @delete("/routing", access=editor("routing:write"))
    async def remove(self, call: Call, query: RemoveQuery) -> None:
        """Go back to telling every default channel of everything."""
        await self._routing.remove(actor_of(call), call.expected, query.comment)

    @get("/routing/versions", access=viewer("routing:read"))
    async def versions(self, call: Call) -> Page[VersionView]:
        """The versions, newest first; at most 500."""
        return Page(items=[VersionView(**_summary(each)) for each in await self._routing.versions()])

    @get("/routing/versions/{version}", access=viewer("routing:read"))
    async def version(self, call: Call, version: str) -> Reply[DocumentVersion]:
        """One version with its document."""
        found = await self._routing.version(version)
        values = found.values
        document = DocumentView(**values) if values is not None else None
        view = DocumentVersion(**_summary(found), document=document, text=found.text)
        return Reply(data=view, etag=str(found.revision))

    @get("/routing/diff", access=viewer("routing:read"))
    async def difference(self, call: Call, query: DiffQuery) -> DiffView:
        """What changed between two versions, as a unified diff of YAML."""
        return DiffView(from_=query.from_, to=query.to, diff=await self._routing.diff(query.from_, query.to))

    @post("/routing/rollback", access=editor("routing:write"))
    async def rollback(self, call: Call, body: RollbackRequest) -> Reply[RoutingView]:
        """Store an earlier version once more, as a new one."""
        return await _reply(await self._routing.rollback(actor_of(call), body.version, call.expected, body.comment))

    @post("/routing/import", access=editor("routing:write"), reads=YAML)
    async def take_in(self, call: Call, query: ImportQuery, body: bytes) -> Reply[RoutingView]:
        """Take in an existing alertmanager.yml; a receiver that is one plain webhook becomes a channel."""
        plan = await self._exchange.plan(body, query.map)
        if query.dry_run:
            return await _proposed(await self._exchange.propose(plan), plan)
        return await _reply(await self._exchange.take_in(actor_of(call), plan, call.expected, query.comment), plan)


def _judged(media_type: str, body: bytes) -> Judged:
    if not body.strip():
        raise Invalid("the request has no body; send the document as JSON or YAML", code="request.body_missing")
    return read_json(body) if media_type == JSON else read_yaml(body)


async def _reply(version: Version, plan: Plan | None = None) -> Reply[RoutingView]:
    """What is stored. Of a large document the view takes a while to make."""
    return Reply(data=await asyncio.to_thread(_stored, version, plan), etag=str(version.revision))


async def _proposed(proposal: Proposal, plan: Plan | None = None) -> Reply[RoutingView]:
    return Reply(data=await asyncio.to_thread(_proposal, proposal, plan))


def _stored(version: Version, plan: Plan | None) -> RoutingView:
    return RoutingView(
        **version.values or {},
        version=version.name,
        stored=True,
        updated_by=version.author,
        updated_at=version.at,
        comment=version.comment,
        warnings=_findings([*version.warnings, *(plan.left_out if plan is not None else ())]),
        created_channels=tuple(plan.made) if plan is not None else None,
    )


def _proposal(proposal: Proposal, plan: Plan | None) -> RoutingView:
    return RoutingView(
        **values_of(proposal.document),
        version=proposal.version,
        stored=False,
        warnings=_findings([*proposal.warnings, *(plan.left_out if plan is not None else ())]),
        diff=proposal.diff,
        moves=_moves(proposal.moves),
        created_channels=tuple(plan.made) if plan is not None else None,
    )


def _moves(moves: Moves) -> MovesView:
    first = [
        MoveView(fingerprint=each.alert.fingerprint, labels=dict(each.alert.labels), from_=each.before, to=each.after)
        for each in moves.first
    ]
    return MovesView(count=moves.count, looked_at=moves.looked_at, total=moves.total, first=tuple(first))


def _summary(version: Version) -> Mapping[str, Any]:
    return {
        "version": version.name,
        **{name: getattr(version, name) for name in ("change", "author", "comment", "at")},
    }


def _findings(details: Sequence[Detail]) -> tuple[Finding, ...]:
    return tuple(map(finding, details))
