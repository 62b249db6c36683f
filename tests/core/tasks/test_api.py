"""Queues, tasks and dead letters over HTTP, on a running service."""

import base64
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from alertagent.app import Service
from alertagent.queue.streams import FIELD, Keys
from alertagent.queue.task import NewTask
from tests.core.alerts.house import until
from tests.support.engines import PrivateValkey
from tests.support.service import Api, make_settings, serving

QUEUE = "ai_analysis"
KEYS = Keys(QUEUE)
DEAD = f"/queues/{QUEUE}/dead"
FAR = timedelta(hours=3)


async def enqueue(service: Service, *tasks: NewTask) -> None:
    async with service.parts.database.transaction() as transaction:
        await service.parts.producer.enqueue(transaction, *tasks)


def unreadable(**payload: Any) -> NewTask:
    """A task whose payload its handler will not have: it dies at once."""
    return NewTask(queue=QUEUE, type="ai_analysis", payload=payload)


def later(type: str = "ai_analysis", **changes: Any) -> NewTask:
    return NewTask(queue=QUEUE, type=type, payload={}, due=datetime.now(UTC) + FAR, **changes)


async def buried(service: Service, api: Api, *tasks: NewTask) -> list[Any]:
    """The dead letters of all tasks so far, once these are among them."""
    await enqueue(service, *tasks)
    ids = {task.id for task in tasks}

    async def letters() -> list[Any]:
        found: list[Any] = (await api.get(DEAD)).data
        return found if ids <= {letter["task_id"] for letter in found} else []

    return await until(letters)


async def audits(service: Service, *actions: str) -> list[Any]:
    rows = await service.parts.database.fetch(
        "SELECT actor, action, subject_kind, subject_id, after FROM audit_log WHERE action = ANY ($1) ORDER BY id",
        list(actions),
    )
    return [tuple(row) for row in rows]


async def test_a_task_is_shown_as_the_contract_has_it(service: Service, api: Api) -> None:
    new = later(priority=2, max_retry=5)
    await enqueue(service, new)

    shown = (await api.get(f"/tasks/{new.id}")).data

    assert {name: shown[name] for name in ("id", "type", "payload", "priority", "retry", "max_retry", "status")} == {
        "id": new.id,
        "type": "ai_analysis",
        "payload": {},
        "priority": 2,
        "retry": 0,
        "max_retry": 5,
        "status": "pending",
    }
    assert (shown["started_at"], shown["completed_at"], shown["error_message"], shown["why"]) == (None,) * 4
    assert datetime.fromisoformat(shown["scheduled_at"]) == new.due
    assert shown["create_at"] < shown["scheduled_at"]


async def test_tasks_are_filtered_sorted_and_paged(service: Service, api: Api) -> None:
    tasks = [later(priority=number % 2) for number in range(4)]
    await enqueue(service, *tasks)
    (letter,) = await buried(service, api, unreadable())

    first = await api.get("/tasks", params={"filter": f'queue="{QUEUE}"', "limit": "3"})
    second = await api.get(
        "/tasks", params={"filter": f'queue="{QUEUE}"', "limit": "3", "cursor": first.json["page"]["next_cursor"]}
    )
    failed = await api.get("/tasks", params={"filter": ['status="failed"', 'why="permanent"']})
    high = await api.get("/tasks", params={"sort": "-priority,id", "filter": 'status="pending"'})
    found = await api.get("/tasks", params={"q": "the payload of this"})

    everything = [each["id"] for each in first.data + second.data]
    assert everything == sorted([*(task.id for task in tasks), letter["task_id"]], reverse=True)
    assert (first.json["page"]["total"], second.json["page"]["next_cursor"]) == (5, None)
    assert [each["id"] for each in failed.data] == [each["id"] for each in found.data] == [letter["task_id"]]
    assert [each["priority"] for each in high.data] == [1, 1, 0, 0]


async def test_a_task_that_died_is_tried_again_and_a_waiting_one_cancelled(service: Service, api: Api) -> None:
    waiting, other, broken = later(), later(), unreadable()
    await enqueue(service, waiting, other)
    await buried(service, api, broken)

    retried = await api.post(f"/tasks/{broken.id}/retry")
    await until(lambda: _status(api, broken.id, "failed"))
    cancelled = await api.post(f"/tasks/{waiting.id}/cancel")
    again = await api.post(f"/tasks/{waiting.id}/cancel")
    early = await api.post(f"/tasks/{other.id}/retry")

    assert (retried.status, retried.data["status"], retried.data["why"]) == (200, "pending", None)
    assert (cancelled.data["status"], cancelled.data["why"]) == ("failed", "cancelled")
    assert (again.status, again.error["code"]) == (409, "task.ended")
    assert (early.status, early.error["code"]) == (409, "task.not_failed")
    about = {"queue": QUEUE, "type": "ai_analysis"}
    assert await audits(service, "task.retried", "task.cancelled") == [
        ("admin", "task.retried", "task", broken.id, {**about, "status": "pending"}),
        ("admin", "task.cancelled", "task", waiting.id, {**about, "status": "failed"}),
    ]


async def _status(api: Api, id: str, status: str) -> bool:
    return bool((await api.get(f"/tasks/{id}")).data["status"] == status)


async def test_a_paused_queue_says_so_and_starts_nothing(service: Service, api: Api) -> None:
    path = f"/queues/{QUEUE}"

    paused = await api.post(f"{path}/pause")
    await api.post(f"{path}/pause")
    tasks = [unreadable()]
    await enqueue(service, tasks[0])

    async def kept() -> Any:
        """The workers hear of a pause a moment later: what they did before that is no sign of it."""
        if await _status(api, tasks[-1].id, "failed"):
            tasks.append(unreadable())
            await enqueue(service, tasks[-1])
        return await _depth(api, 1)

    waiting = await until(kept)
    resumed = await api.post(f"{path}/resume")
    await until(lambda: _status(api, tasks[-1].id, "failed"))
    await api.post(f"{path}/resume")

    assert (paused.data["paused"], paused.data["paused_by"]) == (True, "admin")
    assert (waiting["due"], waiting["depth"], waiting["running"]) == (1, {"2": 0, "1": 1, "0": 0}, 0)
    assert (resumed.data["paused"], resumed.data["paused_by"]) == (False, None)
    assert await audits(service, "queue.paused", "queue.resumed") == [
        ("admin", "queue.paused", "queue", QUEUE, None),
        ("admin", "queue.resumed", "queue", QUEUE, None),
    ]


async def _depth(api: Api, depth: int) -> Any:
    found = (await api.get(f"/queues/{QUEUE}")).data
    return found if sum(found["depth"].values()) == depth else None


async def test_every_queue_is_shown(service: Service, api: Api) -> None:
    await buried(service, api, unreadable())
    await enqueue(service, later())

    shown = (await api.get("/queues")).data

    assert [queue["name"] for queue in shown] == ["notification", "ai_analysis", "config_sync"]
    of_analyses = shown[1]
    assert (of_analyses["dead"], of_analyses["delayed"], of_analyses["redis"]) == (1, 0, True)
    assert of_analyses["consumers"] == 1
    assert of_analyses["rate"] > 0


async def test_a_dead_letter_shows_its_bytes_and_why_it_died(service: Service, api: Api) -> None:
    new = unreadable(alert_id="CANARY", episode="first", token="CANARY")
    (letter,) = await buried(service, api, new)

    assert (letter["queue"], letter["type"], letter["why"], letter["priority"]) == (
        QUEUE,
        "ai_analysis",
        "permanent",
        1,
    )
    assert letter["error"].startswith("Permanent: the payload of this ai_analysis task: episode: ")
    assert (letter["runs"], letter["deliveries"]) == (1, 1)
    assert letter["first_at"] <= letter["at"]
    assert "Permanent" in letter["traceback"]
    raw = letter["raw"]
    assert raw["redacted"]
    assert base64.b64decode(raw["base64"]).decode() == raw["text"]
    assert '"token":"***"' in raw["text"]
    assert '"alert_id":"CANARY"' in raw["text"]
    task = (await api.get(f"/tasks/{new.id}")).data
    assert task["payload"] == {"alert_id": "CANARY", "episode": "first", "token": "***"}


async def test_bytes_that_are_no_task_are_shown_all_the_same(service: Service, api: Api) -> None:
    redis: Any = service.parts.redis
    await redis.xadd(KEYS.stream(1), {FIELD: b"\xff\x00garbage"})
    (letter,) = await until(lambda: _letters(api))

    assert (letter["why"], letter["task_id"], letter["type"]) == ("unreadable", None, None)
    assert base64.b64decode(letter["raw"]["base64"]) == b"\xff\x00garbage"
    assert letter["raw"]["text"] is None
    requeued = await api.post(f"{DEAD}/requeue", {"ids": [letter["id"], "1-1"]})
    assert requeued.data == {"requeued": [], "overtaken": [], "left": sorted([letter["id"], "1-1"])}


async def _letters(api: Api) -> Any:
    return (await api.get(DEAD)).data


async def test_dead_letters_are_paged_and_filtered(service: Service, api: Api) -> None:
    await buried(service, api, *(unreadable() for _ in range(3)))
    await enqueue(service, unwanted := later())
    await api.post(f"/tasks/{unwanted.id}/cancel")

    first = await api.get(DEAD, params={"limit": "3"})
    second = await api.get(DEAD, params={"limit": "3", "cursor": first.json["page"]["next_cursor"]})
    cancelled = await api.get(DEAD, params={"filter": ['why=~"cancel.*"', 'type="ai_analysis"']})
    none = await api.get(DEAD, params={"filter": 'type="other"'})

    ids = [letter["id"] for letter in first.data + second.data]
    assert (len(ids), ids) == (4, sorted(ids, reverse=True))
    assert second.json["page"]["next_cursor"] is None
    assert [letter["task_id"] for letter in cancelled.data] == [unwanted.id]
    assert none.data == []


async def test_dead_letters_are_requeued_and_purged_by_id_and_by_filter(service: Service, api: Api) -> None:
    letters = await buried(service, api, *(unreadable() for _ in range(3)))
    one, *others = [letter["id"] for letter in letters]

    requeued = await api.post(f"{DEAD}/requeue", {"ids": [one]})
    again = await until(lambda: _new_letters(api, 3, without=one))
    purged = await api.post(f"{DEAD}/purge", {"ids": [others[0], "1-1"]})
    rest = await api.post(f"{DEAD}/purge", {"filter": ['why="permanent"', 'error=~".*payload.*"']})

    assert requeued.data == {"requeued": [one], "overtaken": [], "left": []}
    assert {letter["id"] for letter in again} > set(others)
    assert (purged.data, rest.data, (await api.get(DEAD)).data) == ({"purged": 1}, {"purged": 2}, [])
    assert (await api.get("/tasks", params={"filter": 'status="failed"'})).json["page"]["total"] == 3
    told = await audits(service, "dead_letters.requeued", "dead_letters.purged")
    assert [(action, after) for _, action, _, _, after in told] == [
        ("dead_letters.requeued", {"ids": [one], "count": 1, "overtaken": 0}),
        ("dead_letters.purged", {"ids": [others[0], "1-1"], "count": 1}),
        ("dead_letters.purged", {"filter": ['why="permanent"', 'error=~".*payload.*"'], "count": 2}),
    ]


async def _new_letters(api: Api, count: int, *, without: str) -> Any:
    found = (await api.get(DEAD)).data
    return found if len(found) == count and without not in {letter["id"] for letter in found} else None


@pytest.fixture
async def shaky(database_url: str, private_valkey: PrivateValkey) -> AsyncIterator[tuple[Service, Api, PrivateValkey]]:
    async with serving(make_settings(database_url, private_valkey.url)) as (service, api):
        yield service, api, private_valkey


async def test_without_redis_the_ledger_answers_and_says_what_is_missing(
    shaky: tuple[Service, Api, PrivateValkey],
) -> None:
    service, api, valkey = shaky
    await enqueue(service, waiting := later())
    await buried(service, api, broken := unreadable())
    await valkey.kill()

    (_, queue, _) = (await api.get("/queues")).data
    listed = await api.get("/tasks")
    cancelled = await api.post(f"/tasks/{waiting.id}/cancel")
    retried = await api.post(f"/tasks/{broken.id}/retry")
    dead = [
        await api.get(DEAD),
        await api.post(f"{DEAD}/requeue", {"ids": ["1-1"]}),
        await api.post(f"{DEAD}/purge", {"ids": ["1-1"]}),
    ]

    assert (queue["redis"], queue["depth"], queue["running"], queue["dead"], queue["due"]) == (
        False,
        None,
        None,
        None,
        0,
    )
    assert {task["id"] for task in listed.data} >= {waiting.id, broken.id}
    assert [cancelled.data["status"], retried.data["status"]] == ["failed", "pending"]
    for answer in dead:
        assert (answer.status, answer.error["code"], answer.headers["Retry-After"]) == (503, "redis.unavailable", "5")
    assert await audits(service, "dead_letters.requeued", "dead_letters.purged") == []


async def test_a_viewer_sees_an_editor_repairs_and_only_an_administrator_throws_away(api: Api) -> None:
    async def caller(role: str) -> Api:
        return api.as_((await api.post("/tokens", {"name": role, "role": role})).data["token"])

    paths = [f"{DEAD}/requeue", f"{DEAD}/purge", f"/queues/{QUEUE}/pause"]
    body = {"ids": ["1-1"]}
    got = {
        role: [(await (await caller(role)).post(path, body if "dead" in path else None)).status for path in paths]
        for role in ("viewer", "editor", "admin")
    }

    assert got == {"viewer": [403, 403, 403], "editor": [200, 403, 403], "admin": [200, 200, 200]}
