"""Rules changed: render what follows from it before a sidecar has to ask."""

from collections.abc import Mapping

from alertagent.core.configs.service import Configs
from alertagent.core.rules.kinds import KINDS
from alertagent.queue.task import Task
from alertagent.queue.worker import Handler


def handlers(configs: Configs) -> Mapping[str, Handler]:
    kinds = {kind.type: kind for kind in KINDS}

    async def refresh(task: Task) -> None:
        await configs.refresh(kinds[task.type].read(task).targets)

    return dict.fromkeys(kinds, refresh)
