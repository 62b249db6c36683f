"""`serve --demo`: two clusters, a dozen rules, a channel that prints, and alerts that come and go.

The alerts go through the same door as real ones; only their sender is made up.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import orjson

from alertagent.app import Parts
from alertagent.core.alerts.intake import Timeouts, read_api_v2
from alertagent.core.audit.model import Actor
from alertagent.core.rules.model import RuleContent
from alertagent.kernel.clock import rfc3339
from alertagent.kernel.errors import Conflict, Unavailable
from alertagent.settings import Settings
from alertagent.storage.pages import PageRequest
from alertagent.web.access import Role

DEMO = Actor(name="demo")
LOOPBACK = ("127.0.0.0/8", "::1/128")
EVERY = timedelta(seconds=8)
SEED = 20


def demo_settings(settings: Settings) -> Settings:
    """The demo lives beside real data, and may call this machine."""
    networks = (*settings.outgoing.allow_networks, *LOOPBACK)
    outgoing = settings.outgoing.model_copy(update={"allow_networks": networks})
    return settings.model_copy(update={"outgoing": outgoing, "data_dir": settings.data_dir / "demo"})


@contextlib.asynccontextmanager
async def playing(parts: Parts) -> AsyncIterator[str]:
    """Fill what is empty, keep alerts coming for as long as the block lasts; yields a token to look around with."""
    await _fill(parts)
    token = await parts.tokens.renew("demo", Role.ADMIN)
    async with asyncio.TaskGroup() as group:
        trickle = group.create_task(_trickle(parts, random.Random(SEED)))
        try:
            yield token
        finally:
            trickle.cancel()


async def _fill(parts: Parts) -> None:
    if (await parts.rules.page(PageRequest(limit=1))).rules:
        return
    for id, name, labels in _CLUSTERS:
        with contextlib.suppress(Conflict):
            await parts.clusters.add(DEMO, id, {"name": name, "labels": labels})
    for rule in _rules():
        await parts.rules.add(DEMO, rule, "a sample")
    with contextlib.suppress(Conflict):
        await parts.channels.add(DEMO, _CHANNEL)


async def _trickle(parts: Parts, dice: random.Random) -> None:
    """Start a few alerts, let them go on, end them."""
    firing: dict[int, datetime] = {}
    timeouts = Timeouts(resolve=EVERY * 4, stale=EVERY * 4)
    while True:
        now = parts.clock.now()
        for number in list(firing):
            if dice.random() < 0.15:
                await _post(parts, [_alert(number, firing.pop(number), now)], timeouts, now)
        if len(firing) < 6:
            firing.setdefault(dice.randrange(len(_ALERTS)), now)
        await _post(parts, [_alert(number, began, None) for number, began in firing.items()], timeouts, now)
        await asyncio.sleep(EVERY.total_seconds())


async def _post(parts: Parts, alerts: list[dict[str, Any]], timeouts: Timeouts, now: datetime) -> None:
    received = read_api_v2(orjson.dumps(alerts), cluster=None, timeouts=timeouts, now=now)
    with contextlib.suppress(Unavailable):
        await parts.alerts.ingest(received.alerts)


def _alert(number: int, began: datetime, ended: datetime | None) -> dict[str, Any]:
    name, severity, instance, cluster, summary = _ALERTS[number]
    alert = {
        "labels": {"alertname": name, "severity": severity, "instance": instance, "cluster": cluster},
        "annotations": {"summary": summary},
        "startsAt": rfc3339(began),
        "generatorURL": "http://localhost:9090/graph",
    }
    return alert if ended is None else {**alert, "endsAt": rfc3339(ended)}


def _rules() -> list[RuleContent]:
    return [
        RuleContent(
            name=name,
            expression=expression,
            duration=timedelta(minutes=minutes),
            severity=severity,
            labels={"team": "sre"},
            annotations={"summary": summary},
            targets=('env="prod"',),
            group=group,
        )
        for group, name, expression, minutes, severity, summary in _RULES
    ]


_CHANNEL = {
    "name": "console",
    "plugin_name": "console",
    "config": {},
    "enabled": True,
    "is_default": True,
    "fallback": (),
    "user_id": None,
}

_CLUSTERS = (
    ("prod-bj", "Production Beijing 北京", {"env": "prod", "region": "cn-north"}),
    ("prod-sh", "Production Shanghai 上海", {"env": "prod", "region": "cn-east"}),
)

_RULES = (
    ("node", "HostDown", "up{job='node'} == 0", 2, "critical", "{{ $labels.instance }} does not answer"),
    ("node", "HighCPU", 'avg by (instance) (rate(node_cpu_seconds_total{mode!="idle"}[5m])) > 0.9', 10, "warning",
     "{{ $labels.instance }} has been busy for 10 minutes"),
    ("node", "HighLoad", 'node_load5 > 2 * count by (instance) (node_cpu_seconds_total{mode="idle"})', 10, "warning",
     "{{ $labels.instance }} has more to do than it can"),
    ("node", "DiskAlmostFull", "node_filesystem_avail_bytes / node_filesystem_size_bytes < 0.1", 5, "critical",
     "{{ $labels.mountpoint }} of {{ $labels.instance }} has less than 10 % left"),
    ("node", "MemoryLow", "node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes < 0.05", 5, "warning",
     "{{ $labels.instance }} has less than 5 % of its memory left"),
    ("node", "ClockSkew", "abs(node_timex_offset_seconds) > 0.05", 10, "warning", "{{ $labels.instance }} has the wrong time"),
    ("http", "HighErrorRate", 'sum by (job) (rate(http_requests_total{code=~"5.."}[5m])) / sum by (job) (rate(http_requests_total[5m])) > 0.05',
     5, "critical", "more than 5 % of the requests to {{ $labels.job }} fail"),
    ("http", "SlowRequests", "histogram_quantile(0.99, sum by (job, le) (rate(http_request_duration_seconds_bucket[5m]))) > 1",
     10, "warning", "one in a hundred requests to {{ $labels.job }} takes over a second"),
    ("http", "CertificateExpires", "probe_ssl_earliest_cert_expiry - time() < 14 * 86400", 0, "warning",
     "the certificate of {{ $labels.instance }} ends within two weeks"),
    ("data", "PostgresDown", "pg_up == 0", 1, "critical", "PostgreSQL on {{ $labels.instance }} is down"),
    ("data", "ReplicationLag", "pg_replication_lag_seconds > 30", 5, "warning",
     "{{ $labels.instance }} is {{ $value }} s behind"),
    ("data", "RedisMemory", "redis_memory_used_bytes / redis_memory_max_bytes > 0.9", 5, "warning",
     "Redis on {{ $labels.instance }} is nearly full"),
)  # fmt: skip

_ALERTS = (
    ("HostDown", "critical", "bj-web-03:9100", "prod-bj", "bj-web-03:9100 does not answer"),
    ("HighCPU", "warning", "bj-web-01:9100", "prod-bj", "bj-web-01:9100 has been busy for 10 minutes"),
    ("HighCPU", "warning", "bj-web-02:9100", "prod-bj", "bj-web-02:9100 has been busy for 10 minutes"),
    ("DiskAlmostFull", "critical", "sh-db-01:9100", "prod-sh", "/var of sh-db-01:9100 has less than 10 % left"),
    ("HighErrorRate", "critical", "sh-lb-01:8080", "prod-sh", "more than 5 % of the requests to checkout fail"),
    ("SlowRequests", "warning", "sh-lb-01:8080", "prod-sh", "one in a hundred requests to checkout takes over a second"),
    ("ReplicationLag", "warning", "sh-db-02:9187", "prod-sh", "sh-db-02:9187 is 41 s behind"),
    ("CertificateExpires", "info", "shop.example.com", "prod-bj", "the certificate of shop.example.com ends in 9 days"),
)  # fmt: skip
