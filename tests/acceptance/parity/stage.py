"""A real Alertmanager and a real AlertAgent with the same routing, each with a mailbox for what it tells."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from tests.acceptance.parity.document import NO_ENDS, RECEIVERS, SENTINEL, alertmanager_config, document
from tests.acceptance.parity.gateway import Gateway, mailbox
from tests.acceptance.parity.scenario import Scenario
from tests.support.alertmanager import Alertmanager, write
from tests.support.prometheus import running
from tests.support.serve import Serve
from tests.support.service import ADMIN_TOKEN, Api

RESOLVE_TIMEOUT = "8s"


@asynccontextmanager
async def alertmanager(
    scenarios: Sequence[Scenario], session: aiohttp.ClientSession, directory: Path
) -> AsyncIterator[Gateway]:
    async with mailbox() as box:
        write(directory, alertmanager_config(scenarios, box.url, resolve_timeout=RESOLVE_TIMEOUT))
        async with running(Alertmanager(directory)) as server:
            yield Gateway(session, server.url, box)


@asynccontextmanager
async def alertagent(
    scenarios: Sequence[Scenario], session: aiohttp.ClientSession, database_url: str, redis_url: str
) -> AsyncIterator[Gateway]:
    serve = Serve.on(database_url, redis_url, ALERTAGENT_ALERTS__RESOLVE_TIMEOUT=RESOLVE_TIMEOUT)
    async with mailbox() as box, serve:
        api = Api(session, serve.address)
        for name in (*RECEIVERS, NO_ENDS, SENTINEL):
            channel = {"name": name, "plugin_name": "webhook", "config": {"url": box.url}}
            made = await api.post("/channels", channel)
            assert made.status == 201, made.body
        receivers = [{"name": NO_ENDS, "send_resolved": False}]
        stored = await api.put("/routing", {**document(scenarios), "receivers": receivers})
        assert stored.status == 200, stored.body
        yield Gateway(session, serve.address, box, token=ADMIN_TOKEN)
