"""Kinds of tasks, as a feature declares them: where they go, how often they are tried, and what they carry. Pure.

A payload names things by their ids; whoever works on the task looks at them as they are then.
"""

import builtins
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from alertagent.kernel import trace as context
from alertagent.kernel.errors import Permanent
from alertagent.kernel.ids import new_id
from alertagent.queue.task import NewTask, Task


class Payload(BaseModel):
    """What a task carries. Fields that we do not know are those of a newer release beside us."""

    model_config = ConfigDict(extra="ignore", frozen=True)


P = TypeVar("P", bound=Payload)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind(Generic[P]):
    """One type of task."""

    queue: str
    type: str
    payload: builtins.type[P]
    priority: int
    max_retry: int

    def task(
        self, payload: P, *, id: str | None = None, due: datetime | None = None, trace: str | None = None
    ) -> NewTask:
        """A new one, in the trace of the work at hand unless another is given. Raises Invalid as NewTask does."""
        return NewTask(
            id=id or new_id(),
            queue=self.queue,
            type=self.type,
            payload=payload.model_dump(mode="json", exclude_none=True),
            priority=self.priority,
            max_retry=self.max_retry,
            due=due,
            trace=trace or context.current(),
        )

    def read(self, task: Task) -> P:
        """What it carries. Raises Permanent when that is not what a task of this type carries."""
        try:
            return self.payload.model_validate(task.payload)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(map(str, first["loc"]))
            raise Permanent(f"the payload of this {self.type} task: {place}: {first['msg']}") from None
