"""A real Prometheus that AlertAgent governs through a real sidecar, and that posts its alerts back to AlertAgent."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.support.prometheus import Prometheus, eventually, running
from tests.support.serve import Running, Serve
from tests.support.service import Api

CLUSTER = "prod-bj"


class PostingPrometheus(Prometheus):
    """Evaluates every second, and repeats its alerts as often: so it forgets a deleted one within seconds."""

    def __init__(self, directory: Path, *, alertmanager: str, token: str) -> None:
        super().__init__(directory)
        target = {
            "static_configs": [{"targets": [alertmanager.removeprefix("http://")]}],
            "authorization": {"credentials": token},
        }
        config = yaml.safe_load(self._config.read_text())
        config |= {"global": {"evaluation_interval": "1s"}, "alerting": {"alertmanagers": [target]}}
        self._config.write_text(yaml.safe_dump(config))

    def command(self) -> list[str]:
        return [*super().command(), "--rules.alert.resend-delay=1s"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Governed:
    """One cluster: AlertAgent seen by an administrator, the Prometheus that it governs, the file between them."""

    api: Api
    prometheus: Prometheus
    file: Path

    async def make_rule(self, name: str, expression: str = "vector(1)", **fields: Any) -> str:
        """The id of a new rule for this cluster."""
        made = await self.api.post("/rules", {"name": name, "expression": expression, "targets": [CLUSTER], **fields})
        assert made.status == 201, made.body
        id: str = made.data["id"]
        return id

    async def runs(self, *names: str, within: float = 10) -> None:
        """Wait until Prometheus runs just these rules, as its own API says."""
        wanted = {*names, "AlertAgentConfig"}

        async def holds() -> bool:
            return await self.prometheus.alerts() == wanted

        await eventually(holds, within=within)

    async def target(self, rule: str, state: str, *, version: str = "", within: float = 10) -> Any:
        """The rule's distribution to this cluster, once it is in this state."""
        found: dict[str, Any] = {}

        async def holds() -> bool:
            distribution = (await self.api.get(f"/rules/{rule}/distribution")).data
            found.update(distribution["targets"][0], status=distribution["status"], wanted=distribution["version"])
            return found["state"] == state and version in {"", found["applied_version"]}

        try:
            await eventually(holds, within=within)
        except TimeoutError:
            raise AssertionError(f"never {state}: {found}") from None
        return found


@asynccontextmanager
async def governed(
    serve: Serve, api: Api, directory: Path, *, checker: str = "auto", interval: str = "30s"
) -> AsyncIterator[Governed]:
    """Register the cluster, start its Prometheus and its sidecar, and wait until the first file runs."""
    await api.post("/clusters", {"id": CLUSTER, "labels": {"env": "prod"}})
    ingest = (await api.post("/tokens", {"name": "prometheus", "scopes": ["ingest"], "cluster_id": CLUSTER})).data
    sync = (await api.post(f"/clusters/{CLUSTER}/tokens", {})).data
    prometheus = PostingPrometheus(directory, alertmanager=serve.address, token=ingest["token"])
    file = prometheus.rules / "alertagent.yml"
    sidecar = Running(
        *("sidecar", "--endpoint", serve.address, "--cluster-id", CLUSTER, "--config-type", "prometheus"),
        *("--config-path", str(file), "--reload-url", prometheus.reload_url, "--checker", checker),
        *("--sync-interval", interval),
        environment={"ALERTAGENT_TOKEN": sync["token"]},
    )
    async with running(prometheus), sidecar:
        cluster = Governed(api=api, prometheus=prometheus, file=file)
        await cluster.runs()
        yield cluster
