"""The same requests to a real Alertmanager and to AlertAgent: the same statuses, the same JSON."""

import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from yarl import URL

from tests.acceptance.twins import DEFAULT, ROUTED, twins
from tests.support.prometheus import eventually
from tests.support.service import ADMIN_TOKEN

FROM, TO = "2026-01-01T00:00:00Z", "2099-01-01T00:00:00Z"
ALERTS = [
    {
        "labels": {"alertname": "DiskFull", "instance": "db-1", "severity": "critical"},
        "annotations": {"summary": "the disk is full"},
        "generatorURL": "http://prometheus/graph?g0.expr=disk",
        "startsAt": FROM,
        "endsAt": TO,
    },
    {"labels": {"alertname": "DiskFull", "instance": "db-2", "job": "b"}, "startsAt": FROM, "endsAt": TO},
    {"labels": {"alertname": "DiskFull", "instance": "db-3", "job": "a"}, "startsAt": FROM, "endsAt": TO},
    {"labels": {"alertname": "HostDown", "instance": "web-1", "zone": ""}, "startsAt": FROM, "endsAt": TO},
    {"labels": {"instance": "nameless"}, "startsAt": FROM, "endsAt": TO},
    {"labels": {"alertname": "Over"}, "startsAt": FROM, "endsAt": FROM},
]
SILENCE = {
    "matchers": [{"name": "alertname", "value": "DiskFull", "isRegex": False}],
    "startsAt": FROM,
    "endsAt": TO,
    "createdBy": "ann",
    "comment": "a new disk comes",
}
# What differs from one server to the other, however alike they are; `mutedBy` is told since 0.28.
OWN = {"updatedAt", "mutedBy", "silencedBy", "silenceID", "id"}
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
UNKNOWN = "01a20567-2085-490e-8405-53c844613db1"

GOOD = [
    "alerts",
    "alerts?active=false",
    "alerts?silenced=false",
    "alerts?inhibited=no&unprocessed=false",
    "alerts?active=&silenced=&receiver=",
    "alerts?active=true&active=false",
    "alerts?active=maybe",
    "alerts?active=TRUE&silenced=Yes",
    "alerts?surprise=1",
    'alerts?filter=alertname="DiskFull"',
    "alerts?filter=alertname=DiskFull&filter=instance!=db-1",
    "alerts?filter=instance=~db-.*&filter=severity=",
    'alerts?filter=severity!=""',
    "alerts?filter=instance!~db-.",
    "alerts?filter= alertname = DiskFull ",
    "alerts?receiver=def.*",
    "alerts?receiver=def",
    "alerts/groups",
    "alerts/groups?active=false",
    "alerts/groups?silenced=false",
    "alerts/groups?filter=instance=~db-.*",
    "alerts/groups?receiver=d.*t",
    "alerts/groups?receiver=nobody",
    "silences",
    "silences?filter=alertname=DiskFull",
    "silences?filter=alertname=~DiskFull",
    "silences?filter=instance=db-1",
    "receivers",
    "receivers?surprise=1",
]
ROUTES = [
    "alerts",
    "alerts?receiver=on-call",
    "alerts?receiver=hosts|web",
    "alerts?filter=team=web&receiver=everyone",
    "alerts/groups",
    "alerts/groups?receiver=on-call",
    "alerts/groups?receiver=hosts|web",
    "alerts/groups?filter=severity=critical&receiver=.*o.*",
    "receivers",
]
INHIBITED = [
    "alerts",
    "alerts?inhibited=false",
    "alerts?active=false",
    "alerts?active=false&inhibited=false",
    "alerts/groups?inhibited=false",
    "alerts/groups?active=false",
]
BAD = [
    "alerts?filter=foo",
    "alerts?filter=",
    "alerts?filter={}",
    'alerts?filter=a=~"("',
    "alerts?filter=%00",
    "alerts?receiver=(",
    "alerts/groups?filter=foo",
    "alerts/groups?receiver=(",
    "silences?filter=foo",
    "silence/none",
    f"silence/{UNKNOWN}",
    f"silence/{UNKNOWN.upper()}0",
]
BAD_SILENCES: list[str | Mapping[str, Any]] = [
    "",
    "{",
    "[]",
    "5",
    "null",
    "{}",
    {"matchers": []},
    {"matchers": [{}]},
    {"matchers": [{"name": "a", "isRegex": False}]},
    {"matchers": [{"name": "a", "value": "", "isRegex": False}]},
    {"matchers": [{"name": "", "value": "b", "isRegex": False}]},
    {"matchers": [{"name": "a", "value": "(", "isRegex": True}]},
    {"matchers": [{"name": "a", "value": ".*", "isRegex": True}]},
    {"matchers": [{"name": "a", "value": "b", "isRegex": "x"}]},
    {"endsAt": FROM},
    {"startsAt": "yesterday"},
    {"startsAt": TO, "endsAt": FROM},
    {"createdBy": 5},
    {"comment": None},
    {"id": UNKNOWN},
    {"id": "none"},
]


@dataclass(frozen=True)
class Told:
    """An answer; `shape` is what must be the same from both."""

    status: int
    body: bytes

    @property
    def shape(self) -> Any:
        return self.status, _shape(json.loads(self.body)) if self.body else None


def _shape(value: Any) -> Any:
    """Of what is told in words, and of what each server makes up itself, only what kind of thing it is."""
    if isinstance(value, dict):
        return {
            name: type(part).__name__ if name in OWN | {"message"} else _shape(part)
            for name, part in value.items()
            if name != "mutedBy"
        }
    if isinstance(value, list):
        return [_shape(part) for part in value]
    return "now" if _is_now(value) else value


def _is_now(value: Any) -> bool:
    """A silence cannot begin before it is made; when that was differs by what lies between two requests."""
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        return False
    return abs(datetime.now(UTC) - datetime.fromisoformat(value)) < timedelta(minutes=1)


@dataclass(frozen=True)
class Both:
    session: aiohttp.ClientSession
    theirs: str
    ours: str

    async def ask(self, method: str, path: str, **options: Any) -> tuple[Told, Told]:
        return await self._ask(self.theirs, method, path, options), await self._ask(self.ours, method, path, options)

    async def _ask(self, origin: str, method: str, path: str, options: Mapping[str, Any]) -> Told:
        headers = {"Content-Type": "application/json"}
        if origin == self.ours:
            headers["Authorization"] = f"Bearer {ADMIN_TOKEN}"
        url = URL(f"{origin}/api/v2/{path}".replace(" ", "%20"), encoded=True)
        async with self.session.request(method, url, headers=headers, **options) as answer:
            return Told(answer.status, await answer.read())

    async def agree(self, paths: Sequence[str], *, grouped: int) -> None:
        """Both tell the same, once the Alertmanager, which groups later than it answers, has so many in its groups."""

        async def settled() -> bool:
            groups, _ = await self.ask("GET", "alerts/groups")
            return sum(len(group["alerts"]) for group in json.loads(groups.body)) == grouped

        await eventually(settled)
        wrong = []
        for path in paths:
            theirs, ours = await self.ask("GET", path)
            if theirs.shape != ours.shape or theirs.status != 200:
                wrong.append(f"{path}\n  {theirs.shape}\n  {ours.shape}")
        assert not wrong, "\n".join(wrong)

    async def silence(self, **changes: Any) -> tuple[str, str]:
        theirs, ours = await self.ask("POST", "silences", json={**SILENCE, **changes})
        assert (theirs.status, ours.status) == (200, 200)
        return json.loads(theirs.body)["silenceID"], json.loads(ours.body)["silenceID"]


@pytest.fixture
async def both(database_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Both]:
    async with (
        twins(database_url, redis_url, tmp_path, DEFAULT, "default") as (theirs, ours),
        aiohttp.ClientSession() as session,
    ):
        yield Both(session, theirs, ours)


@pytest.fixture
async def routed(database_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Both]:
    async with (
        twins(database_url, redis_url, tmp_path, ROUTED, "everyone", "on-call", "web", "hosts") as (theirs, ours),
        aiohttp.ClientSession() as session,
    ):
        yield Both(session, theirs, ours)


async def test_alerts_groups_and_silences_are_told_alike(both: Both) -> None:
    theirs, ours = await both.ask("POST", "alerts", json=ALERTS)
    assert (theirs.status, ours.status) == (200, 200)
    await both.silence()
    await both.silence(
        matchers=[{"name": "instance", "value": "web-.", "isRegex": True, "isEqual": False}],
        endsAt="2098-01-01T00:00:00Z",
    )
    await both.silence(startsAt="2098-01-01T00:00:00Z")

    await both.agree(GOOD, grouped=5)


async def test_routes_and_their_groups_are_told_alike(routed: Both) -> None:
    alerts = [
        {"labels": {"alertname": name, "team": team, **more}, "startsAt": FROM, "endsAt": TO}
        for name in ("DiskFull", "HostDown", "Latency")
        for team in ("web", "shop", "db")
        for more in ({}, {"severity": "critical", "instance": "a"}, {"severity": "critical", "job": "b"})
    ]
    theirs, ours = await routed.ask("POST", "alerts", json=alerts)
    assert (theirs.status, ours.status) == (200, 200)

    # Critical ones of the shop and of the web are in two groups each.
    await routed.agree(ROUTES, grouped=27 + 12)


async def test_inhibited_alerts_name_who_inhibits_them_alike(routed: Both) -> None:
    source = {"labels": {"alertname": "Maintenance", "team": "web"}, "startsAt": FROM, "endsAt": TO}
    targets = [
        {"labels": {"alertname": "Slow", "severity": severity, "team": team}, "startsAt": FROM, "endsAt": TO}
        for severity in ("warning", "info")
        for team in ("web", "shop")
    ]
    theirs, ours = await routed.ask("POST", "alerts", json=[source, *targets])
    assert (theirs.status, ours.status) == (200, 200)

    async def inhibited() -> bool:
        """AlertAgent knows what inhibits once it is in its groups."""
        answers = await routed.ask("GET", "alerts?active=false")
        return all(len(json.loads(answer.body)) == 1 for answer in answers)

    await eventually(inhibited)
    await routed.agree(INHIBITED, grouped=5)


async def test_what_is_wrong_is_refused_alike(both: Both) -> None:
    wrong = []
    for path in BAD:
        theirs, ours = await both.ask("GET", path)
        if (theirs.status, _kind(theirs)) != (ours.status, _kind(ours)):
            wrong.append(f"{path}\n  {theirs}\n  {ours}")
    for change in BAD_SILENCES:
        body = change if isinstance(change, str) else json.dumps({**SILENCE, **change})
        theirs, ours = await both.ask("POST", "silences", data=body)
        if (theirs.status, _kind(theirs)) != (ours.status, _kind(ours)):
            wrong.append(f"{body}\n  {theirs}\n  {ours}")
    assert not wrong, "\n".join(wrong)


def _kind(told: Told) -> Any:
    """A bare text, nothing, or a numbered refusal, of which the number counts and what is missing."""
    content = json.loads(told.body) if told.body else None
    if not isinstance(content, dict):
        return type(content)
    return content["code"], content["message"] if content["code"] != 400 else None
