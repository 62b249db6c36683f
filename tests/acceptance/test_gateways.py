"""AlertAgent as the Alertmanager of a real Prometheus and a real vmalert, and behind a real Alertmanager."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import yaml

from tests.acceptance.watched import Boiler, WatchingPrometheus, WatchingVmalert, boiler
from tests.support.alertmanager import Alertmanager, write
from tests.support.prometheus import running
from tests.support.serve import Serve
from tests.support.service import Api
from tests.support.sink import Received, Sink

ROUTE = {
    "receiver": "sink",
    "group_by": ["alertname"],
    "group_wait": "0s",
    "group_interval": "1s",
    "repeat_interval": "1h",
}
LABELS = {"alertname": "PressureHigh", "severity": "critical", "site": "north", "job": "boiler"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """AlertAgent, whoever may post to it, and what it told."""

    address: str
    token_file: Path
    sink: Sink

    async def tells_of_rise_and_fall(self, watched: Boiler) -> None:
        """Just once each, however often the sender says it."""
        watched.pressure = 7
        [rise] = map(_body, await self.sink.wait_for(1, 20))
        watched.pressure = 1
        [again, fall] = map(_body, await self.sink.wait_for(2, 20))

        assert again == rise
        [fired], [ended] = rise["alerts"], fall["alerts"]
        assert (rise["status"], fired["status"]) == ("firing", "firing")
        assert (fall["status"], ended["status"]) == ("resolved", "resolved")
        assert LABELS.items() <= fired["labels"].items()
        assert ended["labels"] == fired["labels"]
        assert ended["startsAt"] == fired["startsAt"] < ended["endsAt"]
        assert fired["annotations"] == {"summary": "the pressure is 7"}


def _body(request: Received) -> Any:
    return orjson.loads(request.body)


@asynccontextmanager
async def gateway(database_url: str, redis_url: str, directory: Path) -> AsyncIterator[Gateway]:
    async with (
        Serve.on(database_url, redis_url) as serve,
        Sink() as sink,
        aiohttp.ClientSession() as session,
    ):
        api = Api(session, serve.address)
        channel = {"name": "sink", "plugin_name": "webhook", "config": {"url": sink.url}}
        assert (await api.post("/channels", channel)).status == 201
        stored = await api.put("/routing", {"route": ROUTE})
        assert stored.status == 200, stored.body
        token_file = directory / "token"
        token_file.write_text((await api.post("/tokens", {"name": "sender", "scopes": ["ingest"]})).data["token"])
        yield Gateway(address=serve.address, token_file=token_file, sink=sink)


def _entry(url: str) -> dict[str, Any]:
    """One of Prometheus' `alertmanagers`."""
    return {"api_version": "v2", "static_configs": [{"targets": [url.removeprefix("http://")]}]}


def _own(directory: Path, name: str) -> Path:
    """Each server keeps its data by itself."""
    own = directory / name
    own.mkdir()
    return own


async def test_prometheus_takes_it_for_its_alertmanager(database_url: str, redis_url: str, tmp_path: Path) -> None:
    async with gateway(database_url, redis_url, tmp_path) as alertagent, boiler() as watched:
        entry = {**_entry(alertagent.address), "authorization": {"credentials_file": str(alertagent.token_file)}}
        async with running(WatchingPrometheus(_own(tmp_path, "prometheus"), watched, entry)):
            await alertagent.tells_of_rise_and_fall(watched)


async def test_vmalert_takes_it_for_its_alertmanager(database_url: str, redis_url: str, tmp_path: Path) -> None:
    async with gateway(database_url, redis_url, tmp_path) as alertagent, boiler() as watched:
        prometheus = WatchingPrometheus(_own(tmp_path, "prometheus"), watched)
        vmalert = WatchingVmalert(
            _own(tmp_path, "vmalert"), prometheus, notifier=alertagent.address, token_file=alertagent.token_file
        )
        async with running(prometheus), running(vmalert):
            await alertagent.tells_of_rise_and_fall(watched)


async def test_an_alertmanager_in_front_hands_its_alerts_on(database_url: str, redis_url: str, tmp_path: Path) -> None:
    async with gateway(database_url, redis_url, tmp_path) as alertagent, boiler() as watched:
        directory = _own(tmp_path, "alertmanager")
        write(directory, _in_front_of(alertagent))
        async with running(Alertmanager(directory)) as alertmanager:
            prometheus = WatchingPrometheus(_own(tmp_path, "prometheus"), watched, _entry(alertmanager.url))
            async with running(prometheus):
                await alertagent.tells_of_rise_and_fall(watched)


def _in_front_of(alertagent: Gateway) -> str:
    """It groups for itself, and repeats itself all the time."""
    webhook = {
        "url": f"{alertagent.address}/api/v1/alerts/webhook",
        "http_config": {"authorization": {"credentials_file": str(alertagent.token_file)}},
    }
    config = {
        "route": {**ROUTE, "receiver": "alertagent", "repeat_interval": "1s"},
        "receivers": [{"name": "alertagent", "webhook_configs": [webhook]}],
    }
    return yaml.safe_dump(config)
