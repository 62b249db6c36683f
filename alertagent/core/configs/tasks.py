"""A rule changed: render what follows from it before a sidecar has to ask."""

from collections.abc import Mapping

from alertagent.core.configs.service import Configs
from alertagent.queue.task import Task
from alertagent.queue.worker import Handler


def handlers(configs: Configs) -> Mapping[str, Handler]:
    async def refresh(task: Task) -> None:
        await configs.refresh(task.payload["targets"])

    return {"rule_create": refresh, "rule_update": refresh, "rule_delete": refresh}
