"""What begins and ends while nobody can be told of it, because no worker runs.

Alertmanager keeps alerts in memory and would have forgotten such a one. AlertAgent tells of its end, so that people
know what happened meanwhile. Source: prometheus/alertmanager, `notify/notify.go` (`needsUpdate`: a group of which
nobody heard is not told of ends).
"""

import asyncio
from datetime import UTC, datetime, timedelta

import aiohttp
import orjson

from alertagent.kernel.clock import rfc3339
from tests.support.serve import LOOPBACK, TOKEN, Serve, beside
from tests.support.service import Api
from tests.support.sink import Sink

WORTH_TELLING = 2.2
"""Seconds. What lasted for less than `group_wait` would not have been told in good times either."""


async def fire(api: Api, name: str) -> datetime:
    began = datetime.now(UTC)
    alert = {"labels": {"alertname": name}, "startsAt": rfc3339(began), "endsAt": rfc3339(began + timedelta(hours=1))}
    assert (await api.post("//api/v2/alerts", [alert])).status == 200
    return began


async def resolve(api: Api, name: str, began: datetime) -> None:
    alert = {"labels": {"alertname": name}, "startsAt": rfc3339(began), "endsAt": rfc3339(datetime.now(UTC))}
    assert (await api.post("//api/v2/alerts", [alert])).status == 200


async def test_an_alert_that_is_over_when_a_worker_comes_back_is_told_all_the_same(
    database_url: str, redis_url: str
) -> None:
    urls = beside(database_url, redis_url)
    settings = {**LOOPBACK, **TOKEN, **urls}
    async with (
        Serve("--role", "api", environment=settings) as front,
        Sink() as sink,
        aiohttp.ClientSession() as session,
    ):
        api = Api(session, front.address)
        channel = {"name": "sink", "plugin_name": "webhook", "config": {"url": sink.url}}
        assert (await api.post("/channels", channel)).status == 201
        route = {"receiver": "sink", "group_by": ["alertname"], "group_wait": "2s", "group_interval": "1s"}
        assert (await api.put("/routing", {"route": route})).status == 200

        began = await fire(api, "Lasting")
        await resolve(api, "Blip", await fire(api, "Blip"))
        await asyncio.sleep(WORTH_TELLING)
        await resolve(api, "Lasting", began)

        async with Serve("--role", "worker", environment=settings):
            [missed] = map(orjson.loads, [request.body for request in await sink.wait_for(1)])
            await fire(api, "After")
            [_, after] = map(orjson.loads, [request.body for request in await sink.wait_for(2)])

    assert missed["status"] == "resolved"
    [alert] = missed["alerts"]
    assert (alert["status"], alert["labels"]) == ("resolved", {"alertname": "Lasting"})
    assert after["groupLabels"] == {"alertname": "After"}
