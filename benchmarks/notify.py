"""What a notification costs in CPU, from the channel's settings to the provider's answer.

    python -m benchmarks.notify --rounds 5 dingtalk slack

A plugin renders, signs and sends on the service's transport, and judges the answer, with everything on: the guard of
addresses, the bounds of time and size, the trace. Beside it a bare `aiohttp.ClientSession` posts the same bytes, made
beforehand, and reads the answer. Without names it goes through all channels. Both post to a receiver in a process of
its own, sixteen at a time, and only this process is metered. The two sides of a round run one after the other, and a
ratio is that of one round.
"""

import argparse
import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any

import aiohttp
import uvloop

from alertagent.kernel.message import Message, MessageAlert, MessageGroup
from alertagent.plugins.addresses import AddressGuard
from alertagent.plugins.base import HttpNotifier
from alertagent.plugins.notifiers.dingtalk import DingTalk
from alertagent.plugins.notifiers.discord import Discord
from alertagent.plugins.notifiers.feishu import Feishu
from alertagent.plugins.notifiers.slack import Slack
from alertagent.plugins.notifiers.teams import Teams
from alertagent.plugins.notifiers.telegram import Telegram
from alertagent.plugins.notifiers.webhook import Webhook
from alertagent.plugins.notifiers.wecom import WeCom
from alertagent.plugins.outcome import Delivered
from alertagent.plugins.transport import Transport
from benchmarks.start import free_port

MESSAGES = 5_000
WARM_UP = 500
AT_ONCE = 16
WANTED = 0.8

LABELS = {
    "alertname": "HighRequestLatency",
    "uid": "bench",
    "severity": "warning",
    "instance": "10.0.3.17:9100",
    "job": "node",
    "cluster": "prod-3",
    "namespace": "payments",
}
ANNOTATIONS = {
    "summary": "Request latency is high on instance 10.0.3.17",
    "description": "p99 latency has been above 500ms for more than 10 minutes; see the runbook",
    "runbook_url": "https://runbooks.example.com/HighRequestLatency",
}

Send = Callable[[], Awaitable[None]]


async def main(rounds: int, names: Collection[str]) -> None:
    with receiving() as port:
        contestants = [pair for pair in channels(f"http://127.0.0.1:{port}") if not names or pair[0].name in names]
        async with Transport(AddressGuard(["127.0.0.0/8"])) as transport, aiohttp.ClientSession() as session:
            for plugin, raw in contestants:
                request = plugin.render(plugin.validate_config(raw), message(), datetime.now(UTC))
                ours = partial(through_plugin, plugin, raw, transport)
                bare = partial(through_session, session, request.url, request.body)
                pairs = [(await rate(bare), await rate(ours)) for _ in range(rounds)]
                tell(plugin.name, pairs)


def channels(url: str) -> list[tuple[HttpNotifier[Any], dict[str, Any]]]:
    signed = {"secret": "bench"}
    return [
        (Webhook(), {"url": f"{url}/hook", **signed}),
        (DingTalk(), {"webhook_url": f"{url}/robot/send?access_token=bench", **signed}),
        (Feishu(), {"webhook_url": f"{url}/hook", **signed}),
        (WeCom(), {"webhook_url": f"{url}/send?key=bench"}),
        (Slack(), {"webhook_url": f"{url}/services"}),
        (Teams(), {"webhook_url": f"{url}/teams"}),
        (Telegram(), {"base_url": url, "bot_token": "1:bench", "chat_id": 1}),
        (Discord(), {"webhook_url": f"{url}/webhooks"}),
    ]


async def through_plugin(plugin: HttpNotifier[Any], raw: dict[str, Any], transport: Transport) -> None:
    config = plugin.validate_config(raw)
    outcome = await plugin.send(config, message(), transport, now=datetime.now(UTC))
    if not isinstance(outcome, Delivered):
        raise SystemExit(f"{plugin.name}: {outcome}")


async def through_session(session: aiohttp.ClientSession, url: str, body: bytes) -> None:
    async with session.post(url, data=body, headers={"Content-Type": "application/json"}) as answer:
        await answer.read()
        answer.raise_for_status()


async def rate(send: Send) -> float:
    """Messages per second of this process's CPU."""
    await many(send, WARM_UP)
    before = time.process_time()
    await many(send, MESSAGES)
    return MESSAGES / (time.process_time() - before)


async def many(send: Send, count: int) -> None:
    left = iter(range(count))

    async def go_on() -> None:
        for _ in left:
            await send()

    await asyncio.gather(*(go_on() for _ in range(AT_ONCE)))


def tell(name: str, pairs: list[tuple[float, float]]) -> None:
    ratios = [ours / bare for bare, ours in pairs]
    verdict = "ok  " if statistics.median(ratios) >= WANTED else "MISS"
    ours, bare = (statistics.median(side) for side in ([pair[1] for pair in pairs], [pair[0] for pair in pairs]))
    print(  # noqa: T201
        f"{verdict} {statistics.median(ratios):.2f} ≥ {WANTED} {name}: {ours:,.0f} a CPU second, bare {bare:,.0f}"
        f"   [{' '.join(f'{ratio:.2f}' for ratio in ratios)}]"
    )


def message() -> Message:
    """About another instance each time."""
    began = datetime.now(UTC)
    labels = {**LABELS, "instance": f"10.0.{began.microsecond % 250}.{began.microsecond // 250 % 250}:9100"}
    alert = MessageAlert(
        fingerprint="4c3d2b1a00000000", status="firing", labels=labels, annotations=ANNOTATIONS, starts_at=began
    )
    group = MessageGroup(
        key='{}:{alertname="HighRequestLatency"}',
        receiver="bench",
        status="firing",
        labels={"alertname": "HighRequestLatency"},
        common_labels=labels,
        common_annotations=ANNOTATIONS,
        alerts=(alert,),
        external_url="http://alertagent.example.com",
    )
    return Message(
        id="0192f0c1-0000-7000-8000-000000000000",
        title="HighRequestLatency",
        content=ANNOTATIONS["description"],
        severity="warning",
        alert_id=alert.fingerprint,
        timestamp=began,
        labels=labels,
        annotations=ANNOTATIONS,
        group=group,
    )


@contextmanager
def receiving() -> Iterator[int]:
    port = free_port()
    with subprocess.Popen([sys.executable, "-m", "benchmarks.contestants.sink", str(port)]) as process:  # noqa: S603
        time.sleep(1)
        try:
            yield port
        finally:
            process.terminate()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("channels", nargs="*")
    asked = parser.parse_args()
    uvloop.run(main(asked.rounds, asked.channels))
