"""A real Alertmanager and an AlertAgent side by side, which route alike."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from tests.support.alertmanager import Alertmanager, write
from tests.support.prometheus import running
from tests.support.serve import Serve
from tests.support.service import Api

DEFAULT = """\
route:
  receiver: default
  group_by: [alertname]
  group_wait: 0s
  group_interval: 1m
  repeat_interval: 4h
"""
ROUTED = """\
route:
  receiver: everyone
  group_by: [alertname]
  group_wait: 0s
  routes:
  - receiver: on-call
    matchers: [severity="critical"]
    group_by: ['...']
    continue: true
  - receiver: web
    matchers: [team=~"web|shop", region!="test"]
    group_by: [team, alertname]
    mute_time_intervals: [once]
    routes:
    - receiver: hosts
      matchers: [alertname!="DiskFull"]
      active_time_intervals: [always]
inhibit_rules:
- source_matchers: [alertname="Maintenance"]
  target_matchers: [severity="warning"]
  equal: [team]
time_intervals:
- name: once
  time_intervals:
  - times: [{start_time: '20:00', end_time: '24:00'}]
    weekdays: ['monday:friday']
    months: [december]
    years: ['2001']
- name: always
  time_intervals:
  - times: [{start_time: '00:00', end_time: '24:00'}]
"""


@asynccontextmanager
async def twins(
    database_url: str, redis_url: str, directory: Path, document: str, *receivers: str
) -> AsyncIterator[tuple[str, str]]:
    """Where both answer, first the Alertmanager. Each receiver is a channel of its name."""
    named = "".join(f"- name: {name}\n" for name in receivers)
    write(directory, f"{document}receivers:\n{named}")
    async with (
        Serve.on(database_url, redis_url) as serve,
        running(Alertmanager(directory)) as alertmanager,
        aiohttp.ClientSession() as session,
    ):
        if document != DEFAULT:
            await route(Api(session, serve.address), document, receivers)
        yield alertmanager.url, serve.address


async def route(api: Api, document: str, receivers: tuple[str, ...]) -> None:
    for name in receivers:
        made = await api.post("/channels", {"name": name, "plugin_name": "console", "config": {}})
        assert made.status == 201, made.body
    stored = await api.call("PUT", "/routing", data=document.encode(), headers={"Content-Type": "application/yaml"})
    assert stored.status == 200, stored.body
