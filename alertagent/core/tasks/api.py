"""Queues, tasks and dead letters over HTTP."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, model_validator

from alertagent.core.audit.model import actor_of
from alertagent.core.tasks.model import redacted, redacted_text, shown
from alertagent.core.tasks.service import Queues, Which
from alertagent.kernel.errors import Detail, Invalid
from alertagent.queue.dead_letters import FILTERS, DeadLetter, Match
from alertagent.queue.ledger import Entry
from alertagent.queue.policy import Why
from alertagent.queue.statistics import QueueStatistics
from alertagent.queue.tasks import Status
from alertagent.storage.pages import PageRequest, matchers
from alertagent.web.access import admin, editor, viewer
from alertagent.web.call import Call
from alertagent.web.models import ListQuery, Model
from alertagent.web.replies import Page
from alertagent.web.routes import get, post


def _stream_id(text: str) -> str:
    numbers = [int(part) for part in text.split("-")]
    if not any(numbers) or any(number >= 2**64 for number in numbers):
        raise ValueError("there is no such id")
    return text


LetterId = Annotated[str, Field(pattern=r"^[0-9]{1,20}-[0-9]{1,20}$"), AfterValidator(_stream_id)]
Filter = Annotated[
    tuple[Annotated[str, Field(max_length=2048)], ...],
    Field(
        max_length=20,
        description='Matchers, all of which must hold: `type="deliver"`, `why=~"exhausted|crashed"`; also of `task`, '
        "`error` and `by`.",
    ),
]


class QueueView(Model):
    """`due` is open and due in the ledger. What only Redis knows is null while it is away, and `redis` is false.

    `depth` is what waits for a worker, by priority; `running` is in the hands of workers; `rate` is ends per second.
    """

    name: str
    depth: dict[str, int] | None
    due: int
    oldest_seconds: float
    running: int | None
    delayed: int | None
    dead: int | None
    rate: float
    consumers: int | None
    paused: bool
    paused_by: str | None
    redis: bool


class TaskView(Model):
    """`why` says why a failed task failed; `trace` is the traceparent that it goes on with. Secrets read `"***"`."""

    id: str
    queue: str
    type: str
    payload: Any
    priority: int
    retry: int
    max_retry: int
    status: Status
    why: str | None
    create_at: datetime
    scheduled_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    error_message: str | None
    trace: str | None


class RawView(Model):
    """The bytes as they were found. `text` is null where they are no UTF-8; `size` is how many there are.

    `redacted`: secrets were masked; `cut`: there is more than is shown.
    """

    base64: str
    text: str | None
    size: int
    redacted: bool
    cut: bool


class DeadLetterView(Model):
    """A task that nobody tries again by himself. `id` is the letter's own, `task_id` null where the bytes name none.

    `runs` counts the attempts that ended, `deliveries` how often it was handed out; `by` is the worker or the person.
    """

    id: str
    queue: str
    task_id: str | None
    type: str | None
    priority: int
    why: Why
    error: str
    traceback: str
    runs: int
    deliveries: int
    first_at: str
    at: str
    by: str
    raw: RawView


class DeadQuery(Model):
    limit: Annotated[int, Field(ge=1, le=500, description="How many at most.")] = 50
    cursor: Annotated[LetterId | None, Field(description="`page.next_cursor` of the page before.")] = None
    filter: Filter = ()


class Chosen(Model):
    """Dead letters: either those with these ids, or all that match the filter."""

    ids: Annotated[tuple[LetterId, ...], Field(max_length=1000)] = ()
    filter: Filter = ()

    @model_validator(mode="after")
    def _is_one_of_both(self) -> Self:
        if bool(self.ids) == bool(self.filter):
            raise ValueError('give either "ids" or "filter"; the filter why=~".+" means all')
        return self

    @property
    def which(self) -> Which:
        return self.ids or _match(self.filter)


class RequeuedView(Model):
    """The letters whose tasks are tried again; `left` are those asked for by id that are gone or are no tasks.

    `overtaken` are gone too, but nothing is told: a newer message about the same group was sent or is on its way.
    """

    requeued: tuple[str, ...]
    overtaken: tuple[str, ...]
    left: tuple[str, ...]


class PurgedView(Model):
    purged: int


class TasksApi:
    def __init__(self, queues: Queues) -> None:
        self._queues = queues

    @get("/queues", access=viewer("tasks:read"))
    async def queues(self, call: Call) -> Page[QueueView]:
        """The queues and what waits, runs and lies dead in each."""
        found = await self._queues.all()
        return Page(items=[_queue(each) for each in found], total=len(found))

    @get("/queues/{name}", access=viewer("tasks:read"))
    async def queue(self, call: Call, name: str) -> QueueView:
        """One queue."""
        return _queue(await self._queues.get(name))

    @post("/queues/{name}/pause", access=admin())
    async def pause(self, call: Call, name: str) -> QueueView:
        """Start no more tasks of a queue until it is resumed; alerts are taken in all the same."""
        await self._queues.pause(actor_of(call), name)
        return _queue(await self._queues.get(name))

    @post("/queues/{name}/resume", access=admin())
    async def resume(self, call: Call, name: str) -> QueueView:
        """Go on with a paused queue."""
        await self._queues.resume(actor_of(call), name)
        return _queue(await self._queues.get(name))

    @get("/tasks", access=viewer("tasks:read"))
    async def tasks(self, call: Call, query: ListQuery) -> Page[TaskView]:
        """The tasks, newest first; while Redis is away those that run are shown as pending."""
        page = await self._queues.page(PageRequest(**query.model_dump()))
        return Page(items=[_task(entry) for entry in page.tasks], next_cursor=page.next_cursor, total=page.total)

    @get("/tasks/{id}", access=viewer("tasks:read"))
    async def task(self, call: Call, id: str) -> TaskView:
        """One task."""
        return _task(await self._queues.task(id))

    @post("/tasks/{id}/retry", access=editor("tasks:write"))
    async def retry(self, call: Call, id: str) -> TaskView:
        """Try a failed task again, with all its retries. That of a message sends it after all."""
        return _task(await self._queues.retry(actor_of(call), id))

    @post("/tasks/{id}/cancel", access=editor("tasks:write"))
    async def cancel(self, call: Call, id: str) -> TaskView:
        """End a task that has not ended; one that runs is stopped a moment later. A message ends with its task."""
        return _task(await self._queues.cancel(actor_of(call), id))

    @get("/queues/{name}/dead", access=viewer("tasks:read"))
    async def dead(self, call: Call, name: str, query: DeadQuery) -> Page[DeadLetterView]:
        """The dead letters of a queue, newest first."""
        found = await self._queues.dead(name, _match(query.filter), before=query.cursor, limit=query.limit + 1)
        letters = found[: query.limit]
        more = len(found) > query.limit
        return Page(items=[_letter(name, each) for each in letters], next_cursor=letters[-1].id if more else None)

    @post("/queues/{name}/dead/requeue", access=editor("tasks:write"))
    async def requeue(self, call: Call, name: str, body: Chosen) -> RequeuedView:
        """Try dead tasks again, with all their retries; what is no task stays. Messages are sent unless overtaken."""
        done = await self._queues.requeue(actor_of(call), name, body.which)
        return RequeuedView(requeued=tuple(done.requeued), overtaken=tuple(done.overtaken), left=tuple(done.left))

    @post("/queues/{name}/dead/purge", access=admin())
    async def purge(self, call: Call, name: str, body: Chosen) -> PurgedView:
        """Remove dead letters for good; their tasks stay listed as failed."""
        return PurgedView(purged=await self._queues.purge(actor_of(call), name, body.which))


def _queue(found: QueueStatistics) -> QueueView:
    redis = found.redis
    return QueueView(
        name=found.queue,
        depth={str(priority): count for priority, count in redis.depth.items()} if redis else None,
        due=found.due,
        oldest_seconds=found.oldest.total_seconds(),
        running=redis.held if redis else None,
        delayed=redis.delayed if redis else None,
        dead=redis.dead if redis else None,
        rate=found.rate,
        consumers=redis.consumers if redis else None,
        paused=found.paused,
        paused_by=found.paused_by,
        redis=redis is not None,
    )


def _task(entry: Entry) -> TaskView:
    values = {name: getattr(entry, name) for name in TaskView.model_fields}
    error = redacted_text(entry.error_message) if entry.error_message is not None else None
    return TaskView(**{**values, "payload": redacted(entry.payload), "error_message": error})


def _letter(queue: str, letter: DeadLetter) -> DeadLetterView:
    return DeadLetterView(
        id=letter.id,
        queue=queue,
        task_id=letter.task,
        type=letter.type,
        priority=letter.level,
        why=letter.why,
        error=redacted_text(letter.error),
        traceback=redacted_text(letter.traceback),
        runs=letter.runs,
        deliveries=letter.deliveries,
        first_at=letter.first_at,
        at=letter.at,
        by=letter.by,
        raw=RawView(**asdict(shown(letter.envelope))),
    )


def _match(filter: tuple[str, ...]) -> Match:
    """Raises Invalid."""
    found = matchers(PageRequest(filter=filter))
    for name in (matcher.name for matcher in found if matcher.name not in FILTERS):
        message = f'cannot filter by "{name}"; known: {", ".join(FILTERS)}'
        raise Invalid(message, code="request.filter_invalid", details=[Detail(("filter",), message)])
    return Match(matchers=found)
