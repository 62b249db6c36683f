"""Something that real servers watch, whose pressure rises and falls as a test says."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web

from tests.support.prometheus import Prometheus, Vmalert
from tests.support.serving import serving

RULES = """\
groups:
- name: boiler
  interval: 1s
  rules:
  - alert: PressureHigh
    expr: pressure > 5
    labels: {severity: critical}
    annotations: {summary: 'the pressure is {{ $value }}'}
"""


@dataclass(slots=True)
class Boiler:
    """Shows its pressure as a metric."""

    target: str = ""
    pressure: int = 0

    async def metrics(self, _request: web.Request) -> web.Response:
        return web.Response(text=f"pressure {self.pressure}\n")


@asynccontextmanager
async def boiler() -> AsyncIterator[Boiler]:
    watched = Boiler()
    app = web.Application()
    app.router.add_get("/metrics", watched.metrics)
    async with serving(app) as origin:
        watched.target = origin.removeprefix("http://")
        yield watched


class WatchingPrometheus(Prometheus):
    """Looks at the boiler every second; with `alerting`, an entry of `alertmanagers`, it tells of the pressure."""

    def __init__(self, directory: Path, watched: Boiler, alerting: Mapping[str, Any] | None = None) -> None:
        super().__init__(directory)
        config = yaml.safe_load(self._config.read_text())
        config["global"] = {"scrape_interval": "1s", "external_labels": {"site": "north"}}
        config["scrape_configs"] = [{"job_name": "boiler", "static_configs": [{"targets": [watched.target]}]}]
        if alerting is not None:
            (self.rules / "boiler.yml").write_text(RULES)
            config["alerting"] = {"alertmanagers": [alerting]}
        self._config.write_text(yaml.safe_dump(config))

    def command(self) -> list[str]:
        """It repeats itself much oftener than usual."""
        return [*super().command(), "--rules.alert.resend-delay=1s"]


class WatchingVmalert(Vmalert):
    """Asks a Prometheus every second and tells whoever is its Alertmanager."""

    def __init__(self, directory: Path, prometheus: Prometheus, *, notifier: str, token_file: Path) -> None:
        rules = directory / "vmalert.yml"
        rules.write_text(RULES)
        super().__init__(directory, rules, datasource=prometheus.url, notifier=notifier)
        self._token_file = token_file

    def command(self) -> list[str]:
        return [
            *super().command(),
            f"-notifier.bearerTokenFile={self._token_file}",
            "-external.label=site=north",
        ]
