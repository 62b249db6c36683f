"""People deal with alerts: they acknowledge, end, assign and comment on them, one by one or by the thousand.

Each call is one transaction of a few statements, however many alerts it concerns.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from alertagent.core.alerts.actions import NOT_FIRING, Action, Effect, Handled, Standing, Verb, effect
from alertagent.core.alerts.service import FIRING, Alerts, Episode, dispatch_tasks, sql
from alertagent.core.audit.model import Actor
from alertagent.core.audit.service import Audit
from alertagent.kernel.clock import Clock
from alertagent.kernel.errors import Conflict, Invalid
from alertagent.queue.producer import Producer
from alertagent.storage.database import Database, Transaction
from alertagent.storage.pages import PageRequest, fetch_keys

MAX_ALERTS = 10_000

# The audit log names this many alerts of one call; the timelines have them all.
AUDITED = 100

Assigned = Callable[[Transaction, Actor, str, Sequence[str]], Awaitable[None]]


class Handling:
    """What people do with alerts."""

    def __init__(self, database: Database, alerts: Alerts, audit: Audit, producer: Producer, clock: Clock) -> None:
        self._database = database
        self._alerts = alerts
        self._audit = audit
        self._producer = producer
        self._clock = clock
        self._assigned: list[Assigned] = []

    def on_assign(self, assigned: Assigned) -> None:
        """Call this in the transaction of each assignment, with who assigns to whom, and the alerts that fire."""
        self._assigned.append(assigned)

    async def handle(self, actor: Actor, fingerprint: str, action: Action) -> None:
        """Do this to one alert. Raises NotFound, and Conflict where it makes no sense."""
        await self._alerts.get(fingerprint)
        handled = await self.handle_all(actor, [fingerprint], action)
        for reason in handled.failed.values():
            raise Conflict(f"alert {fingerprint}: {reason}", code="alert.not_firing")

    async def handle_matching(self, actor: Actor, filters: Sequence[str], action: Action) -> Handled:
        """Do this to every firing alert that all these matchers fit. Raises Invalid when those are too many."""
        request = PageRequest(limit=MAX_ALERTS + 1, filter=filters)
        fingerprints = await fetch_keys(self._database, FIRING, request)
        if len(fingerprints) > MAX_ALERTS:
            raise Invalid(
                f"the filter fits more than {MAX_ALERTS} firing alerts, which is the most for one call; narrow it",
                code="alerts.too_many",
            )
        return await self.handle_all(actor, fingerprints, action)

    async def handle_all(self, actor: Actor, fingerprints: Sequence[str], action: Action) -> Handled:
        """Do this to each of these alerts; those with which it cannot be done are told and hinder no other."""
        async with self._database.transaction() as transaction:
            rows = await transaction.fetch(sql.lock_standings, list(fingerprints))
            standings = {row["fingerprint"]: Standing(**dict(row)) for row in rows}
            handled = _judged(action, fingerprints, standings)
            done = _episodes(standings, handled.done)
            await self._write(transaction, actor, action, done)
            await self._note(transaction, actor, action, done, _episodes(standings, handled.unchanged))
            if done:
                await self._record(transaction, actor, action, handled.done)
            firing = [fingerprint for fingerprint in handled.done if standings[fingerprint].is_firing]
            if action.assignee is not None and firing:
                for assigned in self._assigned:
                    await assigned(transaction, actor, action.assignee, firing)
        return handled

    async def _write(self, transaction: Transaction, actor: Actor, action: Action, done: Sequence[Episode]) -> None:
        names, now = [fingerprint for fingerprint, _ in done], self._clock.now()
        match action.verb:
            case Verb.ACK:
                await transaction.execute(sql.acknowledge, names, actor.name, now)
            case Verb.UNACK:
                await transaction.execute(sql.acknowledge, names, None, None)
            case Verb.RESOLVE:
                await transaction.execute(sql.resolve_by_hand, names, now)
            case Verb.ASSIGN:
                await transaction.execute(sql.assign, names, action.assignee)
            case Verb.COMMENT:
                pass
        if action.verb in {Verb.UNACK, Verb.RESOLVE}:
            await self._producer.enqueue(transaction, *dispatch_tasks(names))

    async def _note(
        self,
        transaction: Transaction,
        actor: Actor,
        action: Action,
        done: Sequence[Episode],
        unchanged: Sequence[Episode],
    ) -> None:
        """The lines in the timelines. Words that came with an action that changed nothing are kept as a comment."""
        detail = _detail(action)
        if done:
            await self._alerts.note(transaction, done, action.verb.event, detail, actor.name)
        if unchanged and action.comment:
            await self._alerts.note(transaction, unchanged, Verb.COMMENT.event, {"comment": action.comment}, actor.name)

    async def _record(self, transaction: Transaction, actor: Actor, action: Action, done: Sequence[str]) -> None:
        subject = ("alert", done[0] if len(done) == 1 else "*")
        after = {**_detail(action), "count": len(done), "alerts": list(done[:AUDITED])}
        await self._audit.record(transaction, actor, f"alert.{action.verb.event}", subject, after=after)


def _judged(action: Action, fingerprints: Sequence[str], standings: Mapping[str, Standing]) -> Handled:
    handled = Handled()
    for fingerprint in dict.fromkeys(fingerprints):
        standing = standings.get(fingerprint)
        verdict = effect(action, standing) if standing is not None else Effect.REFUSED
        if verdict is Effect.DONE:
            handled.done.append(fingerprint)
        elif verdict is Effect.UNCHANGED:
            handled.unchanged.append(fingerprint)
        else:
            handled.failed[fingerprint] = NOT_FIRING if standing is not None else "there is no such alert"
    return handled


def _episodes(standings: Mapping[str, Standing], fingerprints: Sequence[str]) -> list[Episode]:
    return [(fingerprint, standings[fingerprint].episode) for fingerprint in fingerprints]


def _detail(action: Action) -> dict[str, Any]:
    detail: dict[str, Any] = {"comment": action.comment} if action.comment else {}
    if action.verb is Verb.RESOLVE:
        detail["because"] = "hand"
    if action.verb is Verb.ASSIGN:
        detail["to"] = action.assignee
    return detail
