"""What one transaction writes, and what concurrent ones cannot undo."""

import asyncio
from datetime import timedelta

import pytest

from alertagent.app import Parts, Service
from alertagent.core.alertmanager.model import Texts
from alertagent.core.audit.model import Actor
from alertagent.core.clusters.model import ConfigType
from alertagent.kernel.errors import Stale
from tests.core.alertmanager.samples import SHOP, SHOP_SECRETS, SHOP_TEMPLATES
from tests.support.prometheus import eventually

ANNA = Actor(name="anna")


@pytest.fixture
async def parts(service: Service) -> Parts:
    await service.parts.clusters.add(ANNA, "c1", {"config_types": (ConfigType.ALERTMANAGER,)})
    return service.parts


def make_texts(number: int = 0) -> Texts:
    return Texts(config=f"route: {{receiver: r}}\nreceivers: [{{name: r}}]\n# {number}\n", templates={})


async def test_a_change_comes_with_its_version_its_audit_row_and_its_task(parts: Parts) -> None:
    await parts.alertmanager.put(ANNA, "c1", Texts(config=SHOP, templates=SHOP_TEMPLATES), None, "because")

    version = await parts.alertmanager.version("c1", "v1.0.0")
    audit = await parts.database.fetchrow("SELECT * FROM audit_log WHERE action LIKE 'alertmanager%'")
    tasks = await parts.database.fetch("SELECT * FROM task_queue WHERE task_type = 'alertmanager_update'")
    assert version.texts == Texts(config=SHOP, templates=SHOP_TEMPLATES)
    assert (version.revision, version.author, version.comment) == (1, "anna", "because")
    assert audit is not None
    assert (audit["action"], audit["subject_id"], audit["before"]) == ("alertmanager_config.created", "c1", None)
    assert audit["after"] == {"version": "v1.0.0", "templates": ["shop.tmpl"]}
    assert not [secret for secret in SHOP_SECRETS if secret in str(dict(audit))]
    assert [task["payload"] for task in tasks] == [{"cluster_id": "c1"}]


async def test_the_same_texts_again_change_nothing(parts: Parts) -> None:
    await parts.alertmanager.put(ANNA, "c1", make_texts(), None)
    await parts.alertmanager.put(ANNA, "c1", make_texts(), None)

    assert [version.name for version in await parts.alertmanager.versions("c1")] == ["v1.0.0"]


async def test_of_many_first_ones_each_is_a_version(parts: Parts) -> None:
    await asyncio.gather(*(parts.alertmanager.put(ANNA, "c1", make_texts(number), None) for number in range(5)))

    assert [version.revision for version in await parts.alertmanager.versions("c1")] == [5, 4, 3, 2, 1]


async def test_of_many_who_read_the_same_version_one_may_replace_it(parts: Parts) -> None:
    await parts.alertmanager.put(ANNA, "c1", make_texts(), None)

    results = await asyncio.gather(
        *(parts.alertmanager.put(ANNA, "c1", make_texts(number), frozenset({1})) for number in range(1, 5)),
        return_exceptions=True,
    )

    assert sorted(type(result) is Stale for result in results) == [False, True, True, True]


async def test_a_change_wakes_who_waits_for_it(parts: Parts) -> None:
    await parts.alertmanager.put(ANNA, "c1", make_texts(), None)
    first = await parts.configs.current("c1", ConfigType.ALERTMANAGER)

    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        wait = timedelta(seconds=60)
        polled = group.create_task(parts.configs.changed("c1", ConfigType.ALERTMANAGER, frozenset({first.hash}), wait))
        await eventually(lambda: bool(parts.watch._waiting))
        await parts.alertmanager.put(ANNA, "c1", make_texts(1), None)

    assert (await parts.configs.body(polled.result())).endswith(b"# 1\n")


async def test_a_cluster_takes_its_configuration_and_its_secrets_with_it(parts: Parts) -> None:
    await parts.alertmanager.put(ANNA, "c1", make_texts(), None)

    await parts.clusters.remove(ANNA, "c1", None)

    for table in ("alertmanager_configs", "alertmanager_config_versions", "config_snapshots"):
        assert await parts.database.fetchval(f"SELECT count(*) FROM {table}") == 0
