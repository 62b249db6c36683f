"""A configuration changed: render it before a sidecar has to ask."""

from collections.abc import Mapping

from alertagent.core.alertmanager.service import TASK
from alertagent.core.clusters.model import ConfigType
from alertagent.core.configs.service import Configs
from alertagent.kernel.errors import Conflict, NotFound
from alertagent.queue.task import Task
from alertagent.queue.worker import Handler


def handlers(configs: Configs) -> Mapping[str, Handler]:
    async def refresh(task: Task) -> None:
        try:
            await configs.current(task.payload["cluster_id"], ConfigType.ALERTMANAGER)
        except (NotFound, Conflict):
            # Deleted meanwhile, or no longer an Alertmanager's: those who wait for it must be told all the same.
            await configs.wake(task.payload["cluster_id"], ConfigType.ALERTMANAGER)

    return {TASK: refresh}
