"""`alertagent tasks dead` as a process of its own, against a running service."""

import json
from operator import itemgetter
from typing import Any

import pytest
import yaml

from alertagent.app import Service
from alertagent.commands.tasks import WHYS
from alertagent.kernel.ids import new_id
from alertagent.queue.policy import Why
from alertagent.queue.task import NewTask
from tests.core.alerts.house import until
from tests.support.serve import Ended, run
from tests.support.service import ADMIN_TOKEN, Api


class Dead:
    """The command, with the token of the administrator."""

    def __init__(self, address: str) -> None:
        self._environment = {"ALERTAGENT_SERVER": address, "ALERTAGENT_TOKEN": ADMIN_TOKEN}

    async def __call__(self, *arguments: str) -> Ended:
        return await run("tasks", "dead", *arguments, environment=self._environment)


@pytest.fixture
def dead(service: Service) -> Dead:
    return Dead(service.address)


async def bury(service: Service, api: Api, count: int = 1) -> list[Any]:
    """So many dead letters of analyses, and one of a type that nobody knows in another queue."""
    tasks = [NewTask(queue="ai_analysis", type="ai_analysis", payload={}) for _ in range(count)]
    strange = NewTask(queue="config_sync", type='un"heard', payload={})
    async with service.parts.database.transaction() as transaction:
        await service.parts.producer.enqueue(transaction, *tasks, strange)

    async def letters() -> list[Any]:
        found = [*(await api.get("/queues/ai_analysis/dead")).data, *(await api.get("/queues/config_sync/dead")).data]
        return found if len(found) == count + 1 else []

    return await until(letters)


def test_every_reason_can_be_asked_for() -> None:
    assert set(WHYS) == {why.value for why in Why}


async def test_without_dead_letters_there_is_nothing_to_see(dead: Dead) -> None:
    shown = await dead("list")

    assert (shown.status, shown.stdout, shown.stderr) == (0, "", "there are no dead letters\n")


async def test_they_are_listed_for_people_and_programs(service: Service, api: Api, dead: Dead) -> None:
    letters = await bury(service, api, 2)

    shown = (await dead("list")).stdout.splitlines()
    as_json = json.loads((await dead("list", "--output", "json")).stdout)
    as_yaml = yaml.safe_load((await dead("list", "-o", "yaml", "--why", "unknown_type")).stdout)
    one = (await dead("list", "--type", 'un"heard')).stdout.splitlines()
    few = (await dead("list", "--queue", "ai_analysis", "--limit", "1")).stdout.splitlines()

    assert shown[0].split("\t") == ["ID", "QUEUE", "TYPE", "WHY", "RUNS", "AT", "TASK", "ERROR"]
    assert sorted(line.split("\t")[0] for line in shown[1:]) == sorted(letter["id"] for letter in letters)
    assert sorted(as_json, key=itemgetter("queue", "id")) == sorted(letters, key=itemgetter("queue", "id"))
    assert [letter["type"] for letter in as_yaml] == ['un"heard']
    assert [line.split("\t")[2] for line in one[1:]] == ['un"heard']
    assert len(few) == 2


async def test_they_are_requeued_and_purged(service: Service, api: Api, dead: Dead) -> None:
    letters = await bury(service, api, 2)
    one = next(letter["id"] for letter in letters if letter["queue"] == "ai_analysis")

    requeued = await dead("requeue", "--queue", "ai_analysis", "--id", one)
    gone = await dead("requeue", "--queue", "ai_analysis", "--id", one, "-o", "json")
    purged = await dead("purge", "--why", "unknown_type")
    rest = await dead("purge", "--all", "-o", "json")

    assert (requeued.status, requeued.stdout) == (0, "ai_analysis: 1 requeued\n")
    assert (gone.status, json.loads(gone.stdout)[0]["left"]) == (1, [one])
    assert one in gone.stderr
    assert purged.stdout.splitlines() == ["notification: 0 purged", "ai_analysis: 0 purged", "config_sync: 1 purged"]
    assert rest.status == 0
    assert [answer["queue"] for answer in json.loads(rest.stdout)] == ["notification", "ai_analysis", "config_sync"]


async def test_what_newer_messages_have_overtaken_is_told_apart(service: Service, api: Api, dead: Dead) -> None:
    channel = (await api.post("/channels", {"name": "ops", "plugin_name": "console", "config": {}})).data["id"]
    task = NewTask(queue="notification", type="deliver", payload={})
    await service.parts.database.execute(
        "INSERT INTO notification_deliveries (id, channel_id, group_key, receiver, group_labels, alerts, status)"
        " SELECT id, $1, 'g', 'ops', '{}', '[]', status"
        " FROM unnest($2::text[], '{failed,pending}'::text[]) AS new (id, status)",
        channel,
        [task.id, new_id()],
    )
    async with service.parts.database.transaction() as transaction:
        await service.parts.producer.enqueue(transaction, task)

    async def letters() -> Any:
        return (await api.get("/queues/notification/dead")).data

    await until(letters)
    requeued = await dead("requeue", "--queue", "notification", "--type", "deliver")

    assert (requeued.status, requeued.stdout) == (
        0,
        "notification: 0 requeued, 1 overtaken by newer messages\n",
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["requeue"], "say which"),
        (["purge", "--queue", "notification"], "say which"),
        (["purge", "--all", "--why", "crashed"], "say which"),
        (["requeue", "--id", "1-1", "--type", "deliver"], "say which"),
        (["requeue", "--id", "1-1"], "--id needs --queue"),
        (["list", "--why", "crash"], "crashed"),
        (["list", "--limit", "0"], "--limit"),
    ],
)
async def test_a_wrong_call_changes_nothing(arguments: list[str], said: str) -> None:
    ended = await Dead("http://127.0.0.1:1")(*arguments)

    assert (ended.status, ended.stdout) == (2, "")
    assert said in ended.stderr


async def test_what_the_server_refuses_is_told_with_its_reason(dead: Dead) -> None:
    unknown = await dead("list", "--queue", "nowhere")
    malformed = await dead("purge", "--queue", "notification", "--id", "x")

    assert (unknown.status, unknown.stderr) == (
        1,
        'alertagent: there is no queue "nowhere"; there are notification, ai_analysis, config_sync\n',
    )
    assert (malformed.status, malformed.stderr.startswith("alertagent: ids.0: ")) == (1, True)
