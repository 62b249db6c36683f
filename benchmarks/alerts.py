"""What an alert costs from the post to the channel, beside Alertmanager and raw asyncpg on the same machine.

    python -m benchmarks.alerts --rounds 5
    python -m benchmarks.alerts --only delivery

Alertmanager's webhooks of ten new alerts each go over 16 connections into `alertagent serve`, with engines of its own,
and the service tells one webhook channel of each alert by itself. Beside it Debian's Alertmanager gets the same alerts
and sends the same number of webhooks; it keeps alerts in memory only. Every figure is the median of the rounds, every
ratio that of the rounds' ratios: a busy machine disturbs both sides of a round. An alert whose severity is `info` is
not analysed, any other one is.
"""

import argparse
import asyncio
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import asyncpg
import orjson
import uvloop

from alertagent.engines import embedded
from benchmarks.start import free_port, resident

ALERTS = 10_000
A_POST = 10
ACCEPTED = 20_000
ACCEPTED_A_POST = 100
CONNECTIONS = 16
WARM_UP = 500
PATIENCE = 120.0
TOKEN = "benchmark-token-0123456789"  # noqa: S105 - opens nothing but this run's own server
TICKS = os.sysconf("SC_CLK_TCK")

ALERTMANAGER_CONFIG = """
route: {receiver: sink, group_by: ['...'], group_wait: 0s, group_interval: 5m, repeat_interval: 4h}
receivers: [{name: sink, webhook_configs: [{url: 'http://127.0.0.1:%d/hook'}]}]
"""
RAW_TABLE = """
CREATE TABLE raw_alerts (
    fingerprint text PRIMARY KEY, status text NOT NULL, labels jsonb NOT NULL, annotations jsonb NOT NULL,
    starts_at timestamptz NOT NULL, generator_url text NOT NULL, seen int NOT NULL DEFAULT 1
)
"""
RAW_UPSERT = """
INSERT INTO raw_alerts (fingerprint, status, labels, annotations, starts_at, generator_url)
SELECT fingerprint, 'firing', labels::jsonb, annotations::jsonb, now(), 'http://prometheus.example.com/graph'
  FROM unnest($1::text[], $2::text[], $3::text[]) AS new (fingerprint, labels, annotations)
ON CONFLICT (fingerprint) DO UPDATE SET status = excluded.status, seen = raw_alerts.seen + 1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """`bound` is the least that the ratio may be."""

    title: str
    bound: float
    one: str
    other: str

    def line(self, figures: "Figures") -> str:
        ratios = figures.ratios(self.one, self.other)
        middle = statistics.median(ratios)
        rounds = " ".join(f"{ratio:.2f}" for ratio in ratios)
        return (
            f"{'ok  ' if middle >= self.bound else 'MISS'} {middle:8.2f}  ≥ {self.bound:<5g} {self.title}   [{rounds}]"
        )


TARGETS = (
    Target(title="alerts told a second / Alertmanager's", bound=0.8, one="ours told/s", other="alertmanager told/s"),
    Target(
        title="alerts taken in a second at 100 a post / raw asyncpg, group commit",
        bound=0.5,
        one="ours durable/s",
        other="raw durable/s",
    ),
)


class Figures:
    """One value a round, by name."""

    def __init__(self) -> None:
        self._rounds: defaultdict[str, list[float]] = defaultdict(list)

    def add(self, contestant: str, found: Mapping[str, float]) -> None:
        for name, value in found.items():
            self._rounds[f"{contestant} {name}"].append(value)

    def ratios(self, one: str, other: str) -> list[float]:
        return [ours / theirs for ours, theirs in zip(self._rounds[one], self._rounds[other], strict=True)]

    def show(self) -> None:
        for name, values in sorted(self._rounds.items()):
            say(f"{statistics.median(values):14,.3f}  {name}   [{' '.join(f'{value:,.3f}' for value in values)}]")
        for target in TARGETS:
            if target.one in self._rounds and target.other in self._rounds:
                say(target.line(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """The channel: what it has heard."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def heard(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/seen") as answer:
            found: dict[str, Any] = orjson.loads(answer.read())
            return found

    def forget(self) -> None:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/seen", method="DELETE")
        urllib.request.urlopen(request).close()  # noqa: S310

    def wait_for(self, count: int) -> dict[str, Any]:
        until = time.monotonic() + PATIENCE
        while len((found := self.heard())["moments"]) < count:
            if time.monotonic() > until:
                raise SystemExit(f"only {len(found['moments'])} of {count} alerts were told within {PATIENCE:g} s")
            time.sleep(0.2)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Where alerts go in, and which processes are at work behind it."""

    port: int
    path: str
    processes: Sequence[int]
    headers: str = ""


class Poster(asyncio.Protocol):
    """One connection, on which one post follows the other's answer."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._answer: asyncio.Future[bytes] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(data)

    def connection_lost(self, error: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error or ConnectionError("closed"))

    async def post(self, body: bytes) -> None:
        answer = await self.ask(body)
        if not answer.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"a post was answered by {answer[:300]!r}")

    async def ask(self, body: bytes) -> bytes:
        """The beginning of the answer."""
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        head = (
            f"POST {self._sender.path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"{self._sender.headers}Content-Length: {len(body)}\r\n\r\n"
        )
        self._transport.write(head.encode() + body)
        return await self._answer


async def post_all(sender: Sender, bodies: Sequence[bytes]) -> tuple[float, list[float]]:
    """Seconds for all, and for each."""
    left, latencies = iter(bodies), list[float]()
    loop = asyncio.get_running_loop()

    async def go_on(poster: Poster) -> None:
        for body in left:
            began = time.perf_counter()
            await poster.post(body)
            latencies.append(time.perf_counter() - began)

    made = [await loop.create_connection(lambda: Poster(sender), "127.0.0.1", sender.port) for _ in range(CONNECTIONS)]
    began = time.perf_counter()
    await asyncio.gather(*(go_on(poster) for _, poster in made))
    seconds = time.perf_counter() - began
    for transport, _ in made:
        transport.close()
    return seconds, latencies


def alert(run: str, number: int, severity: str = "warning") -> dict[str, Any]:
    """One of an episode that began long ago, so that no group waits for company."""
    began = datetime.now(UTC) - timedelta(hours=1)
    return {
        "status": "firing",
        "labels": {
            "alertname": f"HighRequestLatency{run}{number}",
            "uid": f"{run}-{number}",
            "severity": severity,
            "instance": f"10.0.{number // 250 % 250}.{number % 250}:9100",
            "job": "node",
            "cluster": f"prod-{number % 8}",
            "namespace": "payments",
            "team": "sre",
        },
        "annotations": {
            "summary": f"Request latency is high on instance {number}",
            "description": "p99 latency has been above 500ms for more than 10 minutes; see the runbook",
            "runbook_url": "https://runbooks.example.com/HighRequestLatency",
        },
        "startsAt": began.isoformat(),
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus.example.com:9090/graph?g0.expr=job%3Alatency%3Ap99+%3E+0.5",
    }


def webhook(alerts: Sequence[Mapping[str, Any]]) -> bytes:
    return orjson.dumps(
        {
            "version": "4",
            "groupKey": "{}:{}",
            "truncatedAlerts": 0,
            "status": "firing",
            "receiver": "alertagent",
            "groupLabels": {},
            "commonLabels": {"job": "node"},
            "commonAnnotations": {},
            "externalURL": "http://alertmanager.example.com:9093",
            "alerts": alerts,
        }
    )


def api_v2(alerts: Sequence[Mapping[str, Any]]) -> bytes:
    return orjson.dumps([{key: one[key] for key in ("labels", "annotations", "startsAt")} for one in alerts])


def bodies(run: str, count: int, a_post: int, wrap: Any, severity: str = "warning") -> list[bytes]:
    alerts = [alert(run, number, severity) for number in range(count)]
    return [wrap(alerts[start : start + a_post]) for start in range(0, count, a_post)]


def deliver(sender: Sender, receiver: Receiver, wrap: Any, severity: str) -> dict[str, float]:
    """From the first post to the last alert at the receiver."""
    uvloop.run(post_all(sender, bodies("warm", WARM_UP, A_POST, wrap, severity)))
    receiver.wait_for(WARM_UP)
    receiver.forget()
    prepared = bodies("run", ALERTS, A_POST, wrap, severity)
    before, began = cpu(sender.processes), time.monotonic()
    seconds, latencies = uvloop.run(post_all(sender, prepared))
    found = receiver.wait_for(ALERTS)
    used = cpu(sender.processes) - before
    latencies.sort()
    return {
        "told/s": ALERTS / (max(found["moments"].values()) - began),
        "accepted/s": ALERTS / seconds,
        "post p50 ms": latencies[len(latencies) // 2] * 1e3,
        "post p99 ms": latencies[int(len(latencies) * 0.99)] * 1e3,
        "CPU s/1,000": used / ALERTS * 1000,
        "messages": found["posts"],
        "resident MiB": resident(sender.processes[0]),
    }


def accept(sender: Sender, severity: str) -> dict[str, float]:
    prepared = bodies("durable", ACCEPTED, ACCEPTED_A_POST, webhook, severity)
    uvloop.run(post_all(sender, bodies("before", WARM_UP, A_POST, webhook, severity)))
    seconds, _ = uvloop.run(post_all(sender, prepared))
    return {"durable/s": ACCEPTED / seconds}


@contextmanager
def receiving() -> Iterator[Receiver]:
    port = free_port()
    with running([sys.executable, "-m", "benchmarks.contestants.sink", str(port)]):
        time.sleep(1)
        yield Receiver(port=port)


@contextmanager
def ours(directory: Path, receiver: Receiver | None) -> Iterator[Sender]:
    """`alertagent serve` with a webhook channel that is told of each alert by itself, or with no channel at all."""
    port = free_port()
    command = [sys.executable, "-m", "alertagent", "serve", "--port", str(port), "--data-dir", str(directory)]
    settings = {
        "ALERTAGENT_AUTH__ADMIN_TOKEN": TOKEN,
        "ALERTAGENT_OUTGOING__ALLOW_NETWORKS": '["127.0.0.0/8"]',
        "ALERTAGENT_LOG__FORMAT": "json",
    }
    with running(command, **settings) as process:
        until_ready(f"http://127.0.0.1:{port}")
        if receiver is not None:
            config = {"url": receiver.url}
            call(
                port, "POST", "/channels", {"name": "sink", "plugin_name": "webhook", "config": config, "default": True}
            )
            route_each_alone(port)
        engines = [pid_in(directory / "postgres" / "postmaster.pid"), pid_in(directory / "valkey" / "valkey.pid")]
        yield Sender(
            port=port,
            path="/api/v1/alerts/webhook",
            processes=[process.pid, *engines],
            headers=f"Authorization: Bearer {TOKEN}\r\n",
        )


def route_each_alone(port: int) -> None:
    """Where a server has no routes to store, the default one groups by the name, and each alert has its own."""
    route = {
        "receiver": "sink",
        "group_by": ["..."],
        "group_wait": "0s",
        "group_interval": "5m",
        "repeat_interval": "4h",
    }
    try:
        call(port, "PUT", "/routing", {"route": route})
    except urllib.error.HTTPError as error:
        if error.code not in {404, 405}:
            raise


def call(port: int, method: str, path: str, body: Any) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    url = f"http://127.0.0.1:{port}/api/v1{path}"
    urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), headers, method=method)).close()


@contextmanager
def alertmanager(directory: Path, receiver: Receiver) -> Iterator[Sender]:
    port, config = free_port(), directory / "alertmanager.yml"
    config.write_text(ALERTMANAGER_CONFIG % receiver.port)
    command = [
        "prometheus-alertmanager",
        f"--config.file={config}",
        f"--storage.path={directory / 'alertmanager'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
        "--log.level=error",
    ]
    with running(command) as process:
        until_ready(f"http://127.0.0.1:{port}/-")
        yield Sender(port=port, path="/api/v2/alerts", processes=[process.pid])


@contextmanager
def running(command: Sequence[str], **environment: str) -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen(  # noqa: S603 - ours, and Alertmanager
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, **environment}
    ) as process:
        try:
            yield process
        finally:
            process.terminate()
            process.wait(30)


def until_ready(address: str) -> None:
    for _ in range(600):
        try:
            urllib.request.urlopen(f"{address}/readyz" if not address.endswith("-") else f"{address}/ready").close()  # noqa: S310
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit(f"nothing came up at {address}")


class GroupCommit:
    """The least that "durable" can cost: whoever comes while a commit is under way shares the next one."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self._waiting: list[tuple[Sequence[tuple[str, str, str]], asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None

    async def add(self, rows: Sequence[tuple[str, str, str]]) -> None:
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((rows, written))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())
        await written

    async def _write(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            rows = [row for post, _ in batch for row in post]
            await self._connection.execute(RAW_UPSERT, *map(list, zip(*rows, strict=True)))
            for _, written in batch:
                written.set_result(None)
        self._writing = None


async def raw(directory: Path) -> dict[str, float]:
    """Alerts that are in memory already, written by 16 callers with a hundred each."""
    async with embedded(directory, postgres=True, redis=False) as engines:
        connection = await asyncpg.connect(engines.database_url or "")
        await connection.execute(RAW_TABLE)
        commits = GroupCommit(connection)
        alerts = [alert("raw", number) for number in range(ACCEPTED)]
        rows = [
            (one["labels"]["uid"], orjson.dumps(one["labels"]).decode(), orjson.dumps(one["annotations"]).decode())
            for one in alerts
        ]
        posts = iter([rows[start : start + ACCEPTED_A_POST] for start in range(0, len(rows), ACCEPTED_A_POST)])

        async def go_on() -> None:
            for post in posts:
                await commits.add(post)

        began = time.perf_counter()
        await asyncio.gather(*(go_on() for _ in range(CONNECTIONS)))
        seconds = time.perf_counter() - began
        await connection.close()
        return {"durable/s": ACCEPTED / seconds}


def pid_in(file: Path) -> int:
    return int(file.read_text("ascii").split()[0])


def cpu(processes: Sequence[int]) -> float:
    """Seconds that these processes and all below them have used so far."""
    children: defaultdict[int, list[int]] = defaultdict(list)
    times: dict[int, float] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue  # it has ended
        pid = int(stat.parent.name)
        children[int(fields[1])].append(pid)
        times[pid] = sum(map(int, fields[11:15])) / TICKS
    waiting, found = list(processes), 0.0
    while waiting:
        pid = waiting.pop()
        found += times.get(pid, 0.0)
        waiting += [child for child in children[pid] if child not in processes]
    return found


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


def one_round(figures: Figures, parent: Path, only: str | None, severity: str) -> None:
    """New processes and directories: what one round left behind would hide what the next one takes."""
    parent.mkdir()
    parent.chmod(0o711)
    if only in {None, "delivery"}:
        with receiving() as receiver, alertmanager(parent, receiver) as sender:
            figures.add("alertmanager", deliver(sender, receiver, api_v2, severity))
        with receiving() as receiver, ours(parent / "delivery", receiver) as sender:
            figures.add("ours", deliver(sender, receiver, webhook, severity))
    if only in {None, "intake"}:
        figures.add("raw", uvloop.run(raw(parent / "raw")))
        with ours(parent / "intake", None) as sender:
            figures.add("ours", accept(sender, severity))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=["delivery", "intake"])
    parser.add_argument("--severity", default="warning")
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    figures, parent = Figures(), Path(tempfile.mkdtemp(prefix="alertagent-bench-"))
    parent.chmod(0o711)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, parent)
        for number in range(options.rounds):
            one_round(figures, parent / str(number), options.only, options.severity)
    figures.show()


if __name__ == "__main__":
    main()
