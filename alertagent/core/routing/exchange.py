"""Taking an existing alertmanager.yml in: its routes become ours, and its receivers channels."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from alertagent.core.alertmanager.findings import invalid, placed
from alertagent.core.audit.model import Actor
from alertagent.core.routing.document import Judged
from alertagent.core.routing.importing import (
    INVALID,
    Foreign,
    NewChannel,
    document_of,
    left_out,
    read_alertmanager,
    renames,
    resolve,
)
from alertagent.core.routing.service import ChannelBook, Proposal, Routing, Version
from alertagent.kernel.errors import Detail, Invalid


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What an import would store: a document, the values of channels to be made, and what has no effect here."""

    judged: Judged
    new_channels: Sequence[Mapping[str, Any]]
    left_out: Sequence[Detail]

    @property
    def made(self) -> list[str]:
        """The names of the channels to be made."""
        return [values["name"] for values in self.new_channels]


class Exchange:
    """Imports, whole or not at all."""

    def __init__(self, routing: Routing, channels: ChannelBook) -> None:
        self._routing = routing
        self._channels = channels

    async def plan(self, body: bytes, renamed: Sequence[str]) -> Plan:
        """`renamed` are texts `theirs:ours`. Raises Invalid that lists every receiver without a channel."""
        names = await self._channels.names()
        foreign = await asyncio.to_thread(read_alertmanager, body)
        mapping = renames(renamed, foreign)
        resolved = resolve(foreign, names.keys(), mapping)
        return Plan(
            judged=await asyncio.to_thread(document_of, foreign, resolved),
            new_channels=[await self._made(foreign, channel) for channel in resolved.new],
            left_out=left_out(foreign),
        )

    async def propose(self, plan: Plan) -> Proposal:
        """What the import would change; nothing is stored."""
        return await self._routing.propose(plan.judged, plan.made)

    async def take_in(self, actor: Actor, plan: Plan, expected: frozenset[int] | None, comment: str = "") -> Version:
        """Make the channels and store the document, in one step. Raises like `Routing.put`."""
        note = comment or "imported from Alertmanager"
        return await self._routing.put(actor, plan.judged, expected, note, new_channels=plan.new_channels)

    async def _made(self, foreign: Foreign, channel: NewChannel) -> Mapping[str, Any]:
        try:
            return await self._channels.webhook(channel.name, channel.url)
        except Invalid as problem:
            details = placed(foreign.root, [(channel.loc, problem.message)])
            raise invalid([replace(each, message=problem.message) for each in details], INVALID) from problem
