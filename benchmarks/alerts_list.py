"""What pages, facets and counts of alerts cost while many fire, and what taking alerts in costs while many are stored.

    python -m benchmarks.alerts_list --stored 1000000 --firing 100000 --rounds 40

A service on embedded engines in a directory of its own is asked over HTTP. Prints the best, the median and the 95th
percentile in milliseconds; for posts of a thousand alerts with few and with many stored, and how many updates were HOT.
On a machine that does other things, too, compare the best.
"""

import argparse
import asyncio
import mmap
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp

from alertagent import log
from alertagent.app import Service, running
from alertagent.settings import Settings

TOKEN = "benchmark-token-0123456789"  # noqa: S105 - of a service that lives for minutes
POSTED = 1000

# One in so many is left firing; labels look like those of a fleet of nodes, and rows come in the order of time.
LOAD = """
INSERT INTO alerts (fingerprint, status, labels, annotations, source, starts_at, ends_at, ended_by, last_seen_at,
                    updated_at, fired_at)
SELECT lpad(to_hex(hashint8extended(n, 7) & x'7fffffffffffffff'::bigint), 16, '0'),
       CASE WHEN n % $3 = 0 THEN 'firing' ELSE 'resolved' END,
       jsonb_build_object(
           'alertname', 'Alert' || hashint8(n) % 300, 'job', 'node', 'prometheus', 'monitoring/k8s',
           'severity', (ARRAY['critical', 'warning', 'warning', 'info'])[1 + (n / 7) % 4],
           'team', (ARRAY['db', 'web', 'net', 'storage', 'ml'])[1 + (n / 3) % 5],
           'cluster', 'prod-' || n % 13, 'namespace', 'ns-' || n % 97,
           'instance', '10.' || n / 62500 || '.' || n / 250 % 250 || '.' || n % 250 || ':9100'),
       jsonb_build_object('summary', 'Instance ' || n || ' is in trouble',
                          'description', 'The filesystem of instance ' || n || ' has less than 10% left'),
       'api', now() - interval '14 days' + n * interval '1 second', now() + interval '1 day', '', now(),
       now() - interval '14 days' + n * interval '1 second', now()
  FROM generate_series($1::bigint, $2::bigint) AS n
"""

LISTS = {
    "a page of all": "/alerts",
    "a page of what fires": '/alerts?filter=status="firing"',
    "… of one severity": '/alerts?filter=status="firing"&filter=severity="critical"',
    "… of one instance": '/alerts?filter=status="firing"&filter=instance="10.1.150.0:9100"',
    "… by a pattern": '/alerts?filter=status="firing"&filter=alertname=~"Alert(1|2).*"&filter=team!="db"',
    "… by a pattern that nothing fits": '/alerts?filter=status="firing"&filter=alertname=~"Nothing.*"',
    "… by an expression that nothing fits": '/alerts?filter=status="firing"&filter=alertname=~"[A-Z][a-z]%2Bx.*"',
    "… oldest first": '/alerts?filter=status="firing"&sort=starts_at',
    "… that nobody acknowledged": '/alerts?filter=status="firing"&filter=acknowledged="false"',
    "… with a text": '/alerts?filter=status="firing"&q=prod-11',
    "… with a text that is nowhere": '/alerts?filter=status="firing"&q=nowhere',
    "facets of four labels": "/alerts/facets?by=severity,cluster,alertname,team",
    "… of instances too": "/alerts/facets?by=severity,cluster,alertname,instance",
    "… within one severity": '/alerts/facets?by=cluster,alertname,team&filter=severity="critical"',
    "counts": "/alerts/counts",
    "API v2, of one instance": '/api/v2/alerts?filter=instance="10.1.150.0:9100"',
}
# Whole answers take seconds, so they are asked for a few times only.
WHOLE = {
    "API v2, all that fires": "/api/v2/alerts",
    "API v2, all that fires, by group": "/api/v2/alerts/groups",
}
FEW = 3


class Client:
    """Asks one service and takes the time."""

    def __init__(self, session: aiohttp.ClientSession, address: str) -> None:
        self._session = session
        self._address = address

    async def get(self, path: str) -> None:
        whole = path if path.startswith("/api/") else f"/api/v1{path}"
        async with self._session.get(f"{self._address}{whole}") as response:
            await response.read()
            response.raise_for_status()

    async def take(self, path: str) -> None:
        """The same, where nothing of the answer is kept."""
        async with self._session.get(f"{self._address}{path}") as response:
            async for _ in response.content.iter_any():
                pass
            response.raise_for_status()

    async def post(self, alerts: list[Any]) -> None:
        async with self._session.post(f"{self._address}/api/v2/alerts", json=alerts) as response:
            await response.read()
            response.raise_for_status()


def posted(first: int) -> list[Any]:
    ends_at = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    return [
        {
            "labels": {
                "alertname": "Posted",
                "severity": "none",
                "cluster": f"c{n % 13}",
                "instance": f"host-{n}:9100",
            },
            "annotations": {"summary": f"host-{n} is in trouble"},
            "endsAt": ends_at,
        }
        for n in range(first, first + POSTED)
    ]


async def timed(rounds: int, work: Callable[[int], Awaitable[None]]) -> tuple[float, float, float]:
    """Best, median and 95th percentile in milliseconds."""
    took = []
    for number in range(rounds):
        started = time.perf_counter()
        await work(number)
        took.append((time.perf_counter() - started) * 1000)
    return min(took), statistics.median(took), statistics.quantiles(took, n=20)[-1]


async def watched(work: Awaitable[None]) -> str:
    """For how long the process had no turn for others while it worked, and how much larger it was than before.

    On a machine that does other things, too, the time that it computed for itself says more.
    """
    longest = own = 0.0
    size = largest = resident()

    async def watch() -> None:
        nonlocal longest, own, largest
        while True:
            started, computed = time.perf_counter(), time.thread_time()
            await asyncio.sleep(0.001)
            longest = max(longest, (time.perf_counter() - started) * 1000 - 1)
            own = max(own, (time.thread_time() - computed) * 1000)
            largest = max(largest, resident())

    watching = asyncio.create_task(watch())
    await work
    watching.cancel()
    return f"others waited {longest:.0f} ms at most, {own:.0f} of them computed here; grew by {largest - size:.0f} MiB"


def resident() -> float:
    """How much memory the process has, in MiB."""
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * mmap.PAGESIZE / 2**20


def show(what: str, figures: tuple[float, float, float]) -> None:
    print(f"{what:42}", *(f"{figure:8.1f}" for figure in figures), flush=True)  # noqa: T201


async def load(service: Service, stored: int, firing: int) -> None:
    database = service.parts.database
    for start in range(1, stored + 1, 50_000):
        await database.execute(LOAD, start, min(start + 49_999, stored), max(1, stored // firing))
    await database.execute("VACUUM ANALYZE alerts")
    await database.execute("VACUUM ANALYZE firing_alerts")


async def intake(service: Service, client: Client, rounds: int, first: int, title: str) -> None:
    show(f"{POSTED} new alerts, {title}", await timed(rounds, lambda n: client.post(posted(first + n * POSTED))))
    await service.parts.database.execute("SELECT pg_stat_reset()")
    show(f"{POSTED} repeated alerts, {title}", await timed(rounds, lambda n: client.post(posted(first))))
    await asyncio.sleep(2)  # the server tells its numbers once a second at most
    row = await service.parts.database.fetchrow(
        "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'alerts'"
    )
    if row is not None and row["n_tup_upd"]:
        print(f"    {row['n_tup_hot_upd'] / row['n_tup_upd']:.0%} of {row['n_tup_upd']} updates were HOT")  # noqa: T201


async def settled(service: Service) -> None:
    """Once the tasks that the posts led to have ended: they would be measured with the lists."""
    due = "SELECT count(*) FROM task_queue WHERE status IN ('pending', 'processing') AND scheduled_at < now()"
    while await service.parts.database.fetchval(due):  # noqa: ASYNC110 - workers change it
        await asyncio.sleep(0.5)


async def measure(options: argparse.Namespace, data_dir: Path) -> None:
    settings = Settings(data_dir=data_dir, server={"port": 0}, auth={"admin_token": TOKEN})
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with running(settings) as service, aiohttp.ClientSession(headers=headers) as session:
        client = Client(session, service.address)
        print(f"{'':42} {'best':>8} {'median':>8} {'p95':>8}  ms")  # noqa: T201
        await intake(service, client, options.rounds, 0, "few stored")
        await settled(service)
        await load(service, options.stored, options.firing)
        await intake(service, client, options.rounds, 10_000_000, f"{options.stored} stored")
        await settled(service)
        for name, path in LISTS.items():
            show(name, await timed(options.rounds, lambda _, path=path: client.get(path)))
        for name, path in WHOLE.items():
            show(name, await timed(FEW, lambda _, path=path: client.get(path)))
            print(f"    {await watched(client.take(path))}")  # noqa: T201


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--stored", type=int, default=1_000_000)
    parser.add_argument("--firing", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=40)
    options = parser.parse_args()
    log.configure(level="error", format="json")
    with tempfile.TemporaryDirectory() as data_dir:
        Path(data_dir).chmod(0o755)  # as root, the engines run as somebody else
        asyncio.run(measure(options, Path(data_dir)))


if __name__ == "__main__":
    main()
