"""Takes in what a cluster runs, unless the server has something for it: then the server's is what counts."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from alertagent.core.adoption.bundle import text_of, unpacked
from alertagent.core.alertmanager.bundle import MAIN
from alertagent.core.alertmanager.model import Texts
from alertagent.core.alertmanager.service import AlertmanagerConfigs
from alertagent.core.audit.model import Actor
from alertagent.core.clusters.model import ConfigType, require_type
from alertagent.core.clusters.service import Clusters
from alertagent.core.rules.exchange import Exchange, File
from alertagent.core.rules.importing import Terms
from alertagent.core.rules.model import ADOPTED, Dialect

COMMENT = "as it ran before"

_DIALECTS = {ConfigType.PROMETHEUS: Dialect.PROMQL, ConfigType.VMALERT: Dialect.METRICSQL}


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopted:
    """What was stored: how many rules, or a version of an Alertmanager's configuration; and what is odd about it."""

    rules: int = 0
    version: str | None = None
    warnings: Sequence[str] = ()


class Adoption:
    """Whether there is something already is asked first: a file that nobody will take need not be a good one."""

    def __init__(self, clusters: Clusters, exchange: Exchange, alertmanager: AlertmanagerConfigs) -> None:
        self._clusters = clusters
        self._exchange = exchange
        self._alertmanager = alertmanager

    async def rules(self, actor: Actor, cluster_id: str, config_type: ConfigType, body: bytes) -> Adopted:
        """Take in a rule file. Raises Conflict, NotFound, Invalid with the place of every mistake."""
        cluster = await self._clusters.get(cluster_id)
        require_type(cluster, config_type)
        await self._exchange.require_none(cluster)
        terms = Terms(targets=(cluster.id,), source=ADOPTED + cluster.id, comment=COMMENT)
        done = await self._exchange.take_in(
            actor, [File(body=body)], _DIALECTS[config_type], terms, only_first_of=cluster
        )
        return Adopted(rules=len(done.edits), warnings=done.warnings)

    async def configuration(self, actor: Actor, cluster_id: str, body: bytes, *, is_bundle: bool) -> Adopted:
        """Take in the configuration of an Alertmanager, alone or with its templates. Raises the same."""
        require_type(await self._clusters.get(cluster_id), ConfigType.ALERTMANAGER)
        await self._alertmanager.require_none(cluster_id)
        texts = await asyncio.to_thread(unpacked, body) if is_bundle else _alone(body)
        stored, found = await self._alertmanager.put(actor, cluster_id, texts, None, COMMENT, only_first=True)
        return Adopted(version=stored.version, warnings=[each.message for each in found])


def _alone(body: bytes) -> Texts:
    return Texts(config=text_of(MAIN, body), templates={})
