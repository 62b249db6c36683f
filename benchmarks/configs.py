"""What configurations cost: rendering them, saying that nothing is new, and letting sidecars wait.

    python -m benchmarks.configs --rounds 5
    python -m benchmarks.configs --only render

Starts `alertagent serve` on engines of its own, and beside it an aiohttp application of one handler that does nothing.
Every figure is the median of the rounds, every ratio that of the rounds' ratios: a busy machine disturbs both sides of
a round. Questions come from wrk where it is installed, otherwise from a process of our own; the waiting ones always do.
"""

import argparse
import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from alertagent.core.clusters.model import Cluster, ConfigType
from alertagent.core.configs.render import Pieces, render
from alertagent.core.rules.model import Rule, RuleContent
from benchmarks.start import free_port, is_ready, resident

RULES = 10_000
WAITING = 10_000
SECONDS = 5
TOKEN = "benchmark-token-0123456789"  # noqa: S105 - opens nothing but this run's own server
NOW = datetime(2026, 1, 1, tzinfo=UTC)

EXPRESSION = """sum by (job, instance) (rate(http_requests_total{{job="svc-{0}", code=~"5.."}}[5m]))
  / sum by (job, instance) (rate(http_requests_total{{job="svc-{0}"}}[5m])) > 0.05"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """`bound` is the least that a figure may be, or the most where it is `at_most`."""

    title: str
    bound: float
    at_most: bool = False

    def line(self, figures: list[float]) -> str:
        middle = statistics.median(figures)
        met = middle <= self.bound if self.at_most else middle >= self.bound
        rounds = " ".join(f"{figure:.3g}" for figure in figures)
        sign = "≤" if self.at_most else "≥"
        return f"{'ok  ' if met else 'MISS'} {middle:10.3f}  {sign} {self.bound:<6g} {self.title}   [{rounds}]"


RENDER = Target(title=f"seconds to render {RULES:,} rules for the first time", bound=0.3, at_most=True)
AGAIN = Target(title="seconds to render them again after one has changed", bound=0.1, at_most=True)
RATIO = Target(title="times as fast as PyYAML's CSafeDumper on the same document", bound=6)
UNCHANGED = Target(title="rate of 304s / that of a bare aiohttp handler", bound=0.8)
MEMORY = Target(title=f"kB for each of {WAITING:,} long polls", bound=15, at_most=True)
WAKING = Target(title="seconds from the change of a rule to the last of them", bound=2, at_most=True)
FIRST = Target(title="seconds from the change of a rule to the first of them", bound=1, at_most=True)


class Figures:
    """One value a round, by target."""

    def __init__(self) -> None:
        self._found: dict[Target, list[float]] = {}

    def add(self, target: Target, figure: float) -> None:
        self._found.setdefault(target, []).append(figure)

    def show(self) -> None:
        for target, figures in self._found.items():
            print(target.line(figures), flush=True)  # noqa: T201


def rendering(figures: Figures) -> None:
    """CPU seconds of one core."""
    rules = [sample(number) for number in range(RULES)]
    pieces, document = Pieces(), yaml.load(rendered(rules, Pieces()), yaml.CSafeLoader)
    ours = timed(lambda: rendered(rules, pieces))
    changed = [*rules[1:], sample(0, revision=2)]
    figures.add(RENDER, ours)
    figures.add(AGAIN, timed(lambda: rendered(changed, pieces)))
    figures.add(RATIO, timed(lambda: yaml.dump(document, Dumper=yaml.CSafeDumper, sort_keys=False)) / ours)


def rendered(rules: list[Rule], pieces: Pieces) -> bytes:
    return render(CLUSTER, ConfigType.PROMETHEUS, rules, pieces=pieces).body


def timed(work: Any) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def sample(number: int, *, revision: int = 1) -> Rule:
    content = RuleContent(
        name=f"HighErrorRate{number}",
        expression=EXPRESSION.format(number),
        duration=timedelta(minutes=5),
        severity="critical",
        labels={"team": "sre", "service": f"svc-{number}", "tier": "1"},
        annotations={
            "summary": "{{ $labels.instance }} answers with errors",
            "description": "{{ $value | humanizePercentage }} of requests fail.\nLook at the dashboard first.\n",
            "runbook_url": f"https://runbooks.example.com/svc-{number}",
        },
        targets=("c1",),
        group=f"service-{number // 50}",
    )
    who = {"created_by": "b", "created_at": NOW, "updated_by": "b", "updated_at": NOW}
    return Rule(id=f"rule-{number}", content=content, position=number, revision=revision, **who)


CLUSTER = Cluster(
    id="c1",
    name="c1",
    labels={},
    parameters={},
    config_types=(ConfigType.PROMETHEUS,),
    query_url=None,
    revision=1,
    created_at=NOW,
    updated_at=NOW,
)


@dataclass(frozen=True, slots=True)
class Server:
    """A running `alertagent serve` with the cluster c1, and the token of its sidecar."""

    process: "subprocess.Popen[str]"
    port: int
    token: str

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        given = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json", **headers}
        data = json.dumps(body).encode() if body is not None else None
        url = f"http://127.0.0.1:{self.port}/api/v1{path}"
        with urllib.request.urlopen(urllib.request.Request(url, data, given, method=method)) as response:
            return response.headers if method == "GET" else json.load(response)["data"]

    @property
    def etag(self) -> str:
        headers = self.call("GET", "/config/sync?cluster_id=c1&type=prometheus")
        return str(headers["X-Config-Hash"])

    def change(self, number: int) -> None:
        rule = {"name": f"Rule{number}", "expression": f"up == {number}", "targets": ["c1"]}
        self.call("POST", "/rules", rule)


@contextmanager
def serving(directory: Path) -> Iterator[Server]:
    port = free_port()
    command = [sys.executable, "-m", "alertagent", "serve", "--port", str(port), "--data-dir", str(directory)]
    settings = {"ALERTAGENT_AUTH__ADMIN_TOKEN": TOKEN, "ALERTAGENT_LOG__LEVEL": "warning"}
    environment = {**os.environ, **settings}
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, text=True, env=environment) as process:  # noqa: S603
        try:
            until_ready(port)
            server = Server(process, port, "")
            server.call("POST", "/clusters", {"id": "c1"})
            yield Server(process, port, server.call("POST", "/clusters/c1/tokens")["token"])
        finally:
            process.terminate()
            process.wait(20)


@contextmanager
def bare() -> Iterator[int]:
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.contestants.bare", str(port)]
    with subprocess.Popen(command) as process:  # noqa: S603
        try:
            time.sleep(1)
            yield port
        finally:
            process.kill()


def until_ready(port: int) -> None:
    for _ in range(600):
        if is_ready(port):
            return
        time.sleep(0.05)
    raise SystemExit("alertagent serve did not come up")


def unchanged(figures: Figures, server: Server, bare_port: int) -> None:
    etag = server.etag
    figures.add(UNCHANGED, rate(server.port, server.token, etag) / rate(bare_port, server.token, etag))


def rate(port: int, token: str, etag: str) -> float:
    """Answers a second."""
    if wrk := shutil.which("wrk"):
        headers = ["-H", f"Authorization: Bearer {token}", "-H", f'If-None-Match: "{etag}"']
        url = f"http://127.0.0.1:{port}/api/v1/config/sync?cluster_id=c1&type=prometheus"
        output = subprocess.check_output([wrk, "-t1", "-c16", f"-d{SECONDS}s", *headers, url], text=True)  # noqa: S603
        assert "Non-2xx" not in output, output
        found = re.search(r"Requests/sec:\s+([\d.]+)", output)
        assert found, output
        return float(found[1])
    with sidecars("ask", port, token, etag, SECONDS) as process:
        return float(said(process)["rate"])


def waiting(figures: Figures, server: Server, number: int) -> None:
    etag = server.etag
    before = resident(server.process.pid)
    with sidecars("wait", server.port, server.token, etag, WAITING) as process:
        assert said(process)["waiting"] == WAITING
        figures.add(MEMORY, (resident(server.process.pid) - before) * 1024 / WAITING)
        changed = time.time()
        server.change(number)
        moments = said(process)
    figures.add(FIRST, moments["first"] - changed)
    figures.add(WAKING, moments["last"] - changed)


@contextmanager
def sidecars(*arguments: object) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "benchmarks.contestants.sidecars", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        try:
            yield process
        finally:
            process.kill()


def said(process: "subprocess.Popen[str]") -> dict[str, float]:
    assert process.stdout
    line = process.stdout.readline()
    if not line:
        raise SystemExit("the sidecars ended before their work did")
    found: dict[str, float] = json.loads(line)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=["render", "unchanged", "waiting"])
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    figures = Figures()
    for number in range(options.rounds):
        if options.only in {None, "render"}:
            rendering(figures)
        # A server of its own for each round: what one round left in memory would hide what the next one takes.
        if options.only != "render":
            parent = Path(tempfile.mkdtemp(prefix="alertagent-bench-"))
            parent.chmod(0o711)
            try:
                with serving(parent / "data") as server, bare() as bare_port:
                    if options.only in {None, "unchanged"}:
                        unchanged(figures, server, bare_port)
                    if options.only in {None, "waiting"}:
                        waiting(figures, server, number)
            finally:
                shutil.rmtree(parent)
    figures.show()


if __name__ == "__main__":
    main()
