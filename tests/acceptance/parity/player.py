"""Plays a scenario to one server and keeps what came of it."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, assert_never

from alertagent.kernel.clock import rfc3339
from tests.acceptance.parity.document import SENTINEL, longest_interval
from tests.acceptance.parity.gateway import OWNER, Gateway
from tests.acceptance.parity.message import Message, read
from tests.acceptance.parity.scenario import (
    Again,
    Differs,
    EndSilence,
    Fire,
    Hears,
    Labels,
    Quiet,
    Resolve,
    Scenario,
    Silence,
    Step,
)

PATIENCE = 20


class Player:
    """`heard` is what both servers must say alike: all that was heard but where they are to differ."""

    def __init__(self, scenario: Scenario, gateway: Gateway, *, is_alertagent: bool) -> None:
        self._scenario = scenario
        self._gateway = gateway
        self._is_alertagent = is_alertagent
        self._inbox = gateway.messages[scenario.label]
        self._expected: set[int] = set()
        self._sentinels = count()
        self._silence = ""
        self._posted: dict[str, Mapping[str, Any]] = {}
        self._fired: dict[str, Mapping[str, Any]] = {}
        self._moments: dict[datetime, str] = {}
        self._posts = count(1)
        self.heard: list[Message] = []

    async def play(self) -> Sequence[Message]:
        for step in (*self._scenario.steps, Quiet(longest_interval(self._scenario) + 1)):
            await self._play(step)
        return self.heard

    async def _play(self, step: Step) -> None:
        match step:
            case Fire():
                await self._fire(step)
            case Resolve():
                await self._resolve(step)
            case Again():
                posted = self._fired if step.firing else self._posted
                await self._gateway.post_alerts([posted[str(labels)] for labels in step.alerts])
            case Silence():
                scope = {"scenario": self._scenario.label}
                self._silence = await self._gateway.silence(step.matchers, scope, timedelta(seconds=step.lasts))
            case EndSilence():
                await self._gateway.end_silence(self._silence)
            case Hears():
                self.heard.append(await self._hear(step))
            case Quiet():
                await self._be_quiet(step)
            case Differs():
                await self._differ(step)
            case _:
                assert_never(step)

    async def _fire(self, step: Fire) -> None:
        number = next(self._posts)
        fields: dict[str, Any] = {"annotations": step.annotations, "generatorURL": step.generator}
        if step.began is not None:
            fields["startsAt"] = rfc3339(self._moment(f"the start of post {number}", -step.began))
        if step.ends_in is not None:
            fields["endsAt"] = rfc3339(self._moment(f"the end of post {number}", step.ends_in))
        for labels in step.alerts:
            self._fired[str(labels)] = self._posted[str(labels)] = {**fields, "labels": self._own(labels)}
        await self._gateway.post_alerts([self._posted[str(labels)] for labels in step.alerts])

    async def _resolve(self, step: Resolve) -> None:
        """As Prometheus says it: the alert as it was, with an end."""
        ends_at = rfc3339(self._moment(f"the end of post {next(self._posts)}"))
        for labels in step.alerts:
            self._posted[str(labels)] = {**self._posted[str(labels)], "endsAt": ends_at}
        await self._gateway.post_alerts([self._posted[str(labels)] for labels in step.alerts])

    def _own(self, labels: Labels) -> Labels:
        return {**labels, "scenario": self._scenario.label}

    def _moment(self, name: str, seconds: float = 0) -> datetime:
        """A time from now, to the microsecond, so that no two are the same."""
        moment = datetime.now(UTC) + timedelta(seconds=seconds)
        self._moments[moment] = name
        return moment

    async def _hear(self, step: Hears) -> Message:
        def found(bodies: Sequence[Mapping[str, Any]]) -> int | None:
            unexpected = (index for index in range(len(bodies)) if index not in self._expected)
            return next((index for index in unexpected if self._fits(step, self._read(bodies[index]))), None)

        try:
            bodies = await self._inbox.wait_for(lambda bodies: found(bodies) is not None, PATIENCE)
        except AssertionError:
            raise AssertionError(f"{self._scenario.name}: {step} did not come, but\n{self._surplus()}") from None
        index = found(bodies)
        assert index is not None
        message = self._read(bodies[index])
        self._expected.add(index)
        earlier = [other for number, other in self._unexpected() if number < index and other.group == message.group]
        assert not earlier, f"{self._scenario.name}: before {step} came\n{self._surplus()}"
        return message

    def _fits(self, step: Hears, message: Message) -> bool:
        """A message without the scenario's own label is what the step says."""
        alerts = {"firing": step.firing, "resolved": step.resolved}
        return (
            message.receiver == step.receiver
            and all(_same(map(self._own, wanted), message.with_status(status)) for status, wanted in alerts.items())
            and (step.annotations is None or all(alert.annotations == step.annotations for alert in message.alerts))
        )

    async def _be_quiet(self, step: Quiet) -> None:
        number = str(next(self._sentinels))
        labels = {SENTINEL: f"{step.seconds}s", OWNER: self._scenario.label, "number": number}
        now = datetime.now(UTC)
        ends_at = now + timedelta(hours=1)
        sentinel = {"labels": labels, "startsAt": rfc3339(now), "endsAt": rfc3339(ends_at)}
        await self._gateway.post_alerts([sentinel])
        await self._inbox.wait_for(
            lambda bodies: any(body["groupLabels"].get("number") == number for body in bodies), step.seconds + PATIENCE
        )
        assert not list(self._unexpected()), f"{self._scenario.name}: nobody should have heard of\n{self._surplus()}"

    async def _differ(self, step: Differs) -> None:
        for inner in step.alertagent if self._is_alertagent else step.alertmanager:
            if isinstance(inner, Hears):
                await self._hear(inner)
            else:
                await self._play(inner)

    def _unexpected(self) -> Iterator[tuple[int, Message]]:
        """What was heard and not expected by any step so far."""
        for index, body in enumerate(self._inbox.items):
            if index not in self._expected and body["receiver"] != SENTINEL:
                yield index, self._read(body)

    def _surplus(self) -> str:
        return "\n".join(f"  {message}" for _, message in self._unexpected()) or "  nothing else"

    def _read(self, body: Mapping[str, Any]) -> Message:
        return read(body, self._moments)


def _same(left: Iterator[Labels], right: Sequence[Labels]) -> bool:
    return sorted(sorted(labels.items()) for labels in left) == sorted(sorted(labels.items()) for labels in right)
