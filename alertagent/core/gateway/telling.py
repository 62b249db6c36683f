"""One answer: alerts as they were read, put together with what is said of them, alone and by group."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from heapq import merge
from itertools import repeat
from operator import attrgetter
from typing import Any, TypeVar

import orjson

from alertagent.core.gateway import render
from alertagent.core.gateway.groups import Group, Grouping, Pages, grouped_by, place_of_member
from alertagent.core.gateway.judging import Judge, Takers, Values, make_room
from alertagent.core.gateway.model import Question, Standing
from alertagent.core.gateway.places import Count
from alertagent.core.gateway.reading import AT_A_TIME, Reading, Written, ahead, parts_of
from alertagent.core.routing.model import RoutingTable
from alertagent.kernel.labels import Labels

# After so many small steps others have their turn.
STRETCH = 1_000

T = TypeVar("T")

_Known = dict[Values, Sequence[Group]]


@dataclass(frozen=True, slots=True)
class Batch:
    """Some alerts, and who of them is in which group; one that is not among the alerts is over."""

    members: Sequence[tuple[Group, Sequence[str]]]
    alerts: Written


class Telling:
    """What is said in one answer."""

    def __init__(self, question: Question, table: RoutingTable, judge: Judge, now: datetime) -> None:
        self._question = question
        self._table = table
        self._judge = judge
        self._takers = Takers(table, question)
        self._grouping = Grouping(table, question, now)
        self._heads: dict[tuple[Values, Standing, Values], bytes] = {}

    async def alerts(self, some: Written) -> Sequence[bytes]:
        """Those that are asked for, as they are told."""
        labels = [orjson.loads(each) for each in some.labels]
        standings = await self._judge.standings(labels)
        found = []
        for own, standing, as_json, rest in zip(labels, standings, some.labels, some.rests, strict=True):
            taken = self._takers.of(own)
            if taken.heard and self._question.shows(standing):
                found.append(self._head(taken.receivers, standing) + as_json + rest)
        return found

    async def gathered(self, reading: Reading, count: Count) -> Sequence[Group]:
        """The groups of all that was read, whatever holds it back."""
        by = grouped_by(self._table.root.all())
        names = [*self._takers.names, *by] if by is not None else []
        known: _Known = {}
        async with aclosing(ahead(reading.outlines(names, whole=by is None))) as parts:
            async for some in parts:
                await count(len(some.fingerprints))
                # Without a column there is a value of none for each all the same.
                values = zip(*some.values, strict=True) if names else repeat((), len(some.fingerprints))
                each: Iterable[Sequence[Group]]
                if by is None:
                    each = map(self._groups_of, map(orjson.loads, some.labels))
                else:
                    each = (known[own] if own in known else self._remembered(known, names, own) for own in values)
                for fingerprint, groups in zip(some.fingerprints, each, strict=True):
                    for group in groups:
                        group.keys += fingerprint.encode() + b" "
        return self._grouping.groups

    def _groups_of(self, labels: Labels) -> Sequence[Group]:
        return self._grouping.of(self._takers.of(labels).routes, labels)

    def _remembered(
        self, known: dict[Values, Sequence[Group]], names: Sequence[str], values: Values
    ) -> Sequence[Group]:
        make_room(known)
        labels = {name: value for name, value in zip(names, values, strict=True) if value}
        known[values] = groups = self._groups_of(labels)
        return groups

    async def members(self, pages: Pages, batch: Batch) -> Sequence[bytes]:
        """A batch as it is told, without what is not asked for."""
        labels = [orjson.loads(each) for each in batch.alerts.labels]
        standings = await self._judge.standings(labels)
        place = {
            key: place for place, key in enumerate(batch.alerts.fingerprints) if self._question.shows(standings[place])
        }
        parts: list[bytes] = []
        for group, keys in batch.members:
            shown = sorted([place[key] for key in keys if key in place], key=lambda at: place_of_member(labels[at]))
            if not shown:
                continue
            muted_by = self._grouping.muted_by(group.route)
            written = []
            for at in shown:
                head = self._head(self._takers.of(labels[at]).heard, standings[at], muted_by)
                written.append(head + batch.alerts.labels[at] + batch.alerts.rests[at])
            parts += pages.written(group, group.labels_of(labels[shown[0]]), written)
        return parts

    def _head(self, receivers: Values, standing: Standing, muted_by: Values = ()) -> bytes:
        key = receivers, standing, muted_by
        head = self._heads.get(key)
        if head is None:
            make_room(self._heads)
            head = self._heads[key] = render.head(receivers, standing, muted_by)
        return head


async def batches(reading: Reading, groups: Sequence[Group]) -> AsyncGenerator[Batch, None]:
    """The alerts of these groups, in Alertmanager's order; of a small group they are put into it once they are read."""
    members: list[tuple[Group, Sequence[str]]] = []
    size = 0
    async for group in in_order(groups, attrgetter("place")):
        keys = group.fingerprints
        if len(keys) > AT_A_TIME:
            keys = await _sorted(reading, keys)
        for some in parts_of(keys, AT_A_TIME):
            if size + len(some) > AT_A_TIME:
                yield await _batch(reading, members)
                members, size = [], 0
            members.append((group, some))
            size += len(some)
    if members:
        yield await _batch(reading, members)


async def _batch(reading: Reading, members: Sequence[tuple[Group, Sequence[str]]]) -> Batch:
    return Batch(members, await reading.among([key for _, keys in members for key in keys]))


async def _sorted(reading: Reading, fingerprints: Sequence[str]) -> list[str]:
    """These alerts in the order of a group."""
    places = []
    async with aclosing(reading.labels(fingerprints)) as parts:
        async for some in parts:
            places += [place_of_member(orjson.loads(labels)) + key for key, labels in some]
    return [place.rpartition("\0")[2] async for place in in_order(places)]


async def in_order(items: Sequence[T], key: Callable[[T], Any] | None = None) -> AsyncIterator[T]:
    """The items sorted, without one long stretch of sorting."""
    runs: list[list[T]] = []
    for run in parts_of(items, STRETCH):
        runs.append(sorted(run, key=key))  # type: ignore[type-var, arg-type]  # without a key T can be sorted
        await asyncio.sleep(0)
    for count, item in enumerate(merge(*runs, key=key), 1):  # type: ignore[arg-type]  # as above
        if count % STRETCH == 0:
            await asyncio.sleep(0)
        yield item
