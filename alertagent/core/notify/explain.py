"""Where an alert goes and what holds it back: asked of the parts that route it, and of what channels know already."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from alertagent.core.alerts.model import Alert
from alertagent.core.alerts.service import Alerts
from alertagent.core.notify.channels import Channels
from alertagent.core.notify.circuits import Circuits
from alertagent.core.notify.groups import groups_from
from alertagent.core.notify.holding import held_everywhere
from alertagent.core.notify.look import groups_of
from alertagent.core.notify.reasons import Hearer, Path, alert_in_words, answers, silence_in_words
from alertagent.core.notify.wishes import wishes_of
from alertagent.core.routing.model import Receiver, Route, RoutingTable, Told, user_receiver
from alertagent.core.routing.service import Routing
from alertagent.core.routing.stages import Drop, Verdict, off_time
from alertagent.core.silences.service import Silences
from alertagent.kernel.clock import Clock
from alertagent.kernel.labels import Labels, fingerprint
from alertagent.storage.database import Database, Transaction
from alertagent.storage.queries import load_queries

sql = load_queries("alertagent.core.notify")


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Every path of an alert. `alert` is None where none with these labels is stored: then it is what would happen."""

    labels: Labels
    alert: Alert | None
    revision: int
    paths: tuple[Path, ...]
    answers: tuple[str, ...]


class Explanations:
    """Answers why somebody was told, or nobody was."""

    def __init__(
        self,
        database: Database,
        alerts: Alerts,
        *,
        routing: Routing,
        silences: Silences,
        channels: Channels,
        circuits: Circuits,
        clock: Clock,
    ) -> None:
        self._database = database
        self._channels = channels
        self._circuits = circuits
        self._alerts = alerts
        self._routing = routing
        self._silences = silences
        self._clock = clock

    async def of_alert(self, id: str) -> Explanation:
        """Raises NotFound."""
        return await self.of_labels((await self._alerts.get(id)).labels)

    async def of_labels(self, labels: Labels) -> Explanation:
        now = self._clock.now()
        async with self._database.transaction() as transaction:
            table = await self._routing.table(transaction)
            key = fingerprint(labels)
            alert = next(iter(await self._alerts.find([key], transaction)), None)
            silences = await self._silences.active(now, transaction)
            everywhere = await held_everywhere(transaction, table, silences, {key: labels})
            homes = groups_of(table, labels)
            known = {silence.id: silence_in_words(silence, now) for silence in silences.muting(labels)}
            inhibiting = {by for each in everywhere[key] if isinstance(each, Drop) for by in each.by} - set(known)
            found = await self._alerts.find(inhibiting, transaction) if inhibiting else []
            known |= {each.fingerprint: alert_in_words(each) for each in found}
            paths = [await _path(transaction, table, home, everywhere[key], now) for home in homes]
            paths = [replace(path, known=known) for path in paths]
        paths = await self._with_settings(paths, labels, now)
        return Explanation(
            labels=labels,
            alert=alert,
            revision=table.revision,
            paths=tuple(paths),
            answers=tuple(answer for path in paths for answer in answers(path, alert, now)),
        )

    async def _with_settings(self, paths: Sequence[Path], labels: Labels, now: datetime) -> list[Path]:
        """What the settings and the breaker of each channel do."""
        named = await self._channels.named({hearer.name for path in paths for hearer in path.hearers})
        breakers = await self._circuits.look(named.values())

        def complete(hearer: Hearer) -> Hearer:
            channel = named.get(hearer.name)
            if channel is None:
                return hearer
            wishes, breaker = wishes_of(channel.min_severity, channel.quiet_hours), breakers.get(channel.id)
            return replace(
                hearer,
                drop=wishes.drop(labels, now) if wishes is not None else None,
                shut_until=breaker.open_until if breaker is not None else None,
            )

        return [replace(path, hearers=tuple(map(complete, path.hearers))) for path in paths]


async def _path(
    transaction: Transaction,
    table: RoutingTable,
    home: tuple[str, Mapping[str, str], Route],
    everywhere: Sequence[Verdict],
    now: datetime,
) -> Path:
    key, labels, route = home
    verdicts = (*everywhere, off_time(route, table, now))
    rows = await transaction.fetch(sql.find_groups, [key])
    return Path(
        route=route,
        key=key,
        labels=labels,
        group=next(iter(groups_from(rows)), None),
        drops=tuple(verdict for verdict in verdicts if isinstance(verdict, Drop)),
        hearers=await _hearers(transaction, table.receiver(route.receiver), key),
    )


async def _hearers(transaction: Transaction, receiver: Receiver | None, key: str) -> tuple[Hearer, ...]:
    names = list(receiver.channels) if receiver is not None else None
    rows = await transaction.fetch(sql.hearers, names, key)
    if names is None:
        return tuple(map(_hearer, rows))
    behind: dict[str, list[Hearer]] = {}
    for row in rows:
        behind.setdefault(row["name"], []).append(_hearer(row))
        if row["user_id"] is not None:
            behind.setdefault(user_receiver(row["user_id"]), []).append(_hearer(row))
    found = [hearer for name in names for hearer in behind.get(name, [Hearer(name=name)])]
    return tuple({hearer.name: hearer for hearer in found}.values())


def _hearer(row: Any) -> Hearer:
    told = None
    if row["told_at"] is not None:
        told = Told(firing=frozenset(row["firing"]), resolved=frozenset(row["resolved"]), at=row["told_at"])
    return Hearer(
        name=row["name"],
        id=row["id"],
        is_enabled=row["is_on"],
        paused_until=row["paused_until"],
        told=told,
        has_failed=bool(row["failed"]),
        is_being_told=row["is_being_told"],
    )
