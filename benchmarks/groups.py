"""How long after group_wait a group is told.

    python -m benchmarks.groups --groups 300

A service on embedded engines takes a post of ten alerts for each group, thirty posts a second, and tells a webhook
channel of each group after `group_wait`. Prints by how many milliseconds later than that the messages arrived.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import aiohttp
import orjson
from aiohttp import web

from alertagent import log
from alertagent.app import running
from alertagent.settings import Settings

TOKEN = "benchmark-token-0123456789"  # noqa: S105 - of a service that lives for seconds
WAIT = 1.0
PAUSE = 1 / 30
ALERTS = 10
WANTED = 100


async def main(groups: int) -> None:
    arrived: dict[str, float] = {}
    with data_dir() as directory:
        settings = Settings(
            data_dir=directory,
            server={"port": 0},
            auth={"admin_token": TOKEN},
            outgoing={"allow_networks": ["127.0.0.0/8"]},
        )
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with (
            sink(arrived) as url,
            running(settings) as service,
            aiohttp.ClientSession(service.address, headers=headers, raise_for_status=True) as session,
        ):
            await set_up(session, url)
            sent = {name: await post(session, name) for name in [f"G{number}" for number in range(groups)]}
            async with asyncio.timeout(60):
                while len(arrived) < groups:  # noqa: ASYNC110 - the sink fills it
                    await asyncio.sleep(0.05)
    late = [(arrived[name] - at - WAIT) * 1000 for name, at in sent.items()]
    centiles = statistics.quantiles(late, n=100)
    verdict = "ok  " if centiles[98] <= WANTED else "MISS"
    print(f"p50 {centiles[49]:.0f} ms, p99 {centiles[98]:.0f} ms, at most {max(late):.0f} ms after group_wait")  # noqa: T201
    print(f"{verdict} p99 ≤ {WANTED} ms")  # noqa: T201


@contextmanager
def data_dir() -> Iterator[Path]:
    """One that the engines' user can enter, too."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        yield Path(directory) / "data"


async def set_up(session: aiohttp.ClientSession, url: str) -> None:
    await session.post("/api/v1/channels", json={"name": "hook", "plugin_name": "webhook", "config": {"url": url}})
    route = {"receiver": "hook", "group_by": ["alertname"], "group_wait": f"{WAIT:.0f}s"}
    await session.put("/api/v1/routing", json={"route": route})


async def post(session: aiohttp.ClientSession, name: str) -> float:
    """When the post was answered."""
    labels = {"alertname": name, "severity": "info"}
    alerts = [{"labels": {**labels, "instance": str(number)}} for number in range(ALERTS)]
    async with session.post("/api/v2/alerts", json=alerts):
        answered = time.monotonic()
    await asyncio.sleep(PAUSE)
    return answered


@asynccontextmanager
async def sink(arrived: dict[str, float]) -> AsyncIterator[str]:
    """A webhook's receiver that notes when it hears of an alert for the first time."""

    async def hear(request: web.Request) -> web.Response:
        for alert in orjson.loads(await request.read())["alerts"]:
            arrived.setdefault(alert["labels"]["alertname"], time.monotonic())
        return web.Response(text="ok")

    app = web.Application()
    app.router.add_post("/", hear)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


if __name__ == "__main__":
    log.configure(level="error", format="json")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--groups", type=int, default=300)
    asyncio.run(main(parser.parse_args().groups))
