"""Snapshots: rendered once, confirmed when nothing changed, forgotten when old."""

import asyncio
from datetime import timedelta

import pytest

from alertagent.app import Parts, Service
from alertagent.core.audit.model import Actor
from alertagent.core.clusters.changes import generation
from alertagent.core.clusters.model import ConfigType
from alertagent.core.configs import service as configs_service
from alertagent.core.rules.model import RuleContent
from tests.support.prometheus import eventually

ANNA = Actor(name="anna")


@pytest.fixture
async def parts(service: Service) -> Parts:
    await service.parts.clusters.add(ANNA, "c1", {})
    return service.parts


def make_content(number: int = 0, target: str = "c1") -> RuleContent:
    return RuleContent(name=f"r{number}", expression="up", labels={}, annotations={}, targets=(target,))


async def test_many_who_ask_at_once_make_one_snapshot(parts: Parts) -> None:
    snapshots = await asyncio.gather(*(parts.configs.current("c1", ConfigType.PROMETHEUS) for _ in range(10)))

    assert len({snapshot.hash for snapshot in snapshots}) == 1
    assert await parts.database.fetchval("SELECT count(*) FROM config_snapshots") == 1


async def test_unchanged_bytes_are_confirmed_with_what_they_stand_for_now(parts: Parts) -> None:
    before = await parts.configs.current("c1", ConfigType.PROMETHEUS)
    await parts.rules.add(ANNA, make_content(target="c2"))

    after = await parts.configs.current("c1", ConfigType.PROMETHEUS)

    assert (after.revision, after.hash) == (before.revision, before.hash)
    assert after.generation == await generation(parts.database) > before.generation


async def test_a_configuration_that_comes_back_is_a_new_revision_of_the_old_hash(parts: Parts) -> None:
    empty = await parts.configs.current("c1", ConfigType.PROMETHEUS)
    rule = await parts.rules.add(ANNA, make_content())
    await parts.configs.current("c1", ConfigType.PROMETHEUS)
    await parts.rules.remove(ANNA, rule.id, None)

    again = await parts.configs.current("c1", ConfigType.PROMETHEUS)

    assert (again.hash, again.revision) == (empty.hash, empty.revision + 2)


async def test_old_snapshots_are_forgotten(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(configs_service, "SNAPSHOTS_KEPT", 3)
    for number in range(5):
        await parts.rules.add(ANNA, make_content(number))
        newest = await parts.configs.current("c1", ConfigType.PROMETHEUS)

    rows = await parts.database.fetch("SELECT revision FROM config_snapshots ORDER BY revision DESC")

    assert [row["revision"] for row in rows] == [newest.revision - back for back in range(3)]


async def test_a_cluster_that_goes_takes_its_snapshots_and_reports_along(parts: Parts) -> None:
    await parts.configs.current("c1", ConfigType.PROMETHEUS)

    await parts.clusters.remove(ANNA, "c1", None)

    assert await parts.database.fetchval("SELECT count(*) FROM config_snapshots") == 0


async def test_a_refresh_renders_for_the_clusters_that_are_named(parts: Parts) -> None:
    await parts.clusters.add(ANNA, "c2", {"labels": {"env": "prod"}})
    await parts.clusters.add(ANNA, "c3", {"config_types": (ConfigType.ALERTMANAGER,)})

    await parts.configs.refresh(['env="prod"', "c3", "nobody"])

    rows = await parts.database.fetch("SELECT cluster_id FROM config_snapshots")
    assert [row["cluster_id"] for row in rows] == ["c2"]


async def test_what_is_current_is_at_hand_until_something_changes(parts: Parts) -> None:
    await eventually(lambda: parts.listening.is_live)
    first = await parts.configs.current("c1", ConfigType.PROMETHEUS)
    assert parts.configs.at_hand("c1", ConfigType.PROMETHEUS) == first

    rule = await parts.rules.add(ANNA, make_content())
    assert parts.configs.at_hand("c1", ConfigType.PROMETHEUS) is None
    second = await parts.configs.current("c1", ConfigType.PROMETHEUS)
    assert parts.configs.at_hand("c1", ConfigType.PROMETHEUS) == second != first

    await parts.rules.remove(ANNA, rule.id, None)
    assert parts.configs.at_hand("c1", ConfigType.PROMETHEUS) is None


async def test_instances_that_are_gone_are_forgotten_but_not_the_last_one(parts: Parts) -> None:
    async def heard(instance: str, hours: int, config_type: str = "prometheus") -> None:
        await parts.database.execute(
            "INSERT INTO config_sync_status (cluster_id, config_type, instance, status, sync_time, received_at)"
            " VALUES ('c1', $1, $2, 'success', now(), now() - make_interval(hours => $3))",
            config_type,
            instance,
            hours,
        )

    before = await generation(parts.database)  # the service forgets by itself, too
    for instance, hours in (("alone", 100), ("old pod", 30), ("new pod", 0), ("pausing", 20)):
        await heard(instance, hours, "vmalert" if instance == "alone" else "prometheus")

    await parts.configs.forget(history=timedelta(days=30), silent=timedelta(days=1))

    assert [sidecar.report.instance for sidecar in await parts.configs.sidecars()] == ["new pod", "pausing", "alone"]
    assert await generation(parts.database) == before + 1
