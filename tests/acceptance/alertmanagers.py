"""A real Alertmanager that AlertAgent governs through a real sidecar, and whose messages show which template it has."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import md5, sha256
from pathlib import Path
from typing import Any

import aiohttp

from alertagent.sidecar.bundle import is_tar, unpacked
from tests.acceptance.governed import CLUSTER
from tests.support.alertmanager import Alertmanager
from tests.support.prometheus import eventually
from tests.support.serve import Running, Serve
from tests.support.service import Api
from tests.support.sink import Received, Sink

PATH = f"/clusters/{CLUSTER}/alertmanager-config"
TEMPLATE = '{{ define "shop.title" }}First says {{ .CommonLabels.alertname }}{{ end }}\n'


def config_of(slack: Sink, templates: str = "title.tmpl") -> str:
    """It tells a Slack of this machine at once, with the title that the template makes."""
    return f"""\
# The shop's Alertmanager.
templates: ['{templates}']
route:
  receiver: slack
  group_wait: 0s
  group_by: [alertname]
receivers:
- name: slack
  slack_configs:
  - api_url: {slack.url}
    channel: '#shop'
    title: '{{{{ template "shop.title" . }}}}'
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Governed:
    """One cluster's Alertmanager, as an administrator sees it."""

    api: Api
    alertmanager: Alertmanager
    sidecar: Running
    file: Path

    async def runs(self, version: str) -> Any:
        """The configuration as the server tells it, once it has seen the proof that this version runs.

        What Alertmanager itself shows of it, the hash of what it loaded, is compared as well.
        """
        view: dict[str, Any] = {}

        async def holds() -> bool:
            view.update((await self.api.get(PATH)).data)
            return (view["version"], view["status"]) == (version, "active")

        try:
            await eventually(holds, within=30)
        except TimeoutError:
            raise AssertionError(f"never ran {version}: {view}") from None
        served = await self.served()
        [instance] = view["instances"]
        assert instance["config_hash"] == sha256(served).hexdigest()
        main = unpacked(served).main if is_tar(served) else served
        assert self.file.read_bytes() == main
        assert await self.alertmanager.configuration_hash() == int.from_bytes(md5(main).digest()[:6], "little")
        return view

    async def served(self) -> bytes:
        query = f"cluster_id={CLUSTER}&type=alertmanager&format=bundle"
        return (await self.api.get(f"/config/sync?{query}")).body

    async def says(self, slack: Sink, alert: str) -> str:
        """The title under which Alertmanager tells Slack of an alert that fires now.

        A reload may cut off what it said last, and it says that again: so only messages about this alert count.
        """
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self.alertmanager.url}/api/v2/alerts", json=[{"labels": {"alertname": alert}}]) as answer,
        ):
            assert answer.status == 200, await answer.text()
        told = await slack.wait_for(lambda requests: any(_is_about(request, alert) for request in requests))
        return next(_title(request) for request in told if _is_about(request, alert))


def _is_about(request: Received, alert: str) -> bool:
    return _title(request).endswith(f" {alert}")


def _title(request: Received) -> str:
    title: str = json.loads(request.body)["attachments"][0]["title"]
    return title


@asynccontextmanager
async def governing(
    serve: Serve, api: Api, alertmanager: Alertmanager, file: Path, *flags: str
) -> AsyncIterator[Governed]:
    """Register the cluster and start the sidecar beside an Alertmanager that runs already."""
    await api.post("/clusters", {"id": CLUSTER, "config_types": ["alertmanager"]})
    sync = (await api.post(f"/clusters/{CLUSTER}/tokens", {})).data
    sidecar = Running(
        *("sidecar", "--endpoint", serve.address, "--cluster-id", CLUSTER, "--config-type", "alertmanager"),
        *("--config-path", str(file), "--reload-url", alertmanager.reload_url, *flags),
        environment={"ALERTAGENT_TOKEN": sync["token"]},
    )
    async with sidecar:
        yield Governed(api=api, alertmanager=alertmanager, sidecar=sidecar, file=file)
