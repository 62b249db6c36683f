"""Rules that must not run: stopped at the door, by the checker, or by Prometheus itself, and the old file stays."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from tests.acceptance.governed import Governed, governed
from tests.support.serve import Serve
from tests.support.service import Api

# A function of newer releases: AlertAgent lets it pass, and an old Prometheus refuses the whole file for it.
TOO_NEW = 'sort_by_label(up, "instance")'


@asynccontextmanager
async def cluster_with_a_rule(
    database_url: str, redis_url: str, directory: Path, checker: str = "auto"
) -> AsyncIterator[Governed]:
    async with (
        Serve.on(database_url, redis_url) as serve,
        aiohttp.ClientSession() as session,
        governed(serve, Api(session, serve.address), directory, checker=checker) as cluster,
    ):
        await cluster.make_rule("Good")
        await cluster.runs("Good")
        yield cluster


async def test_a_bad_expression_is_refused_with_its_place_and_goes_nowhere(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    async with cluster_with_a_rule(database_url, redis_url, tmp_path) as cluster:
        before = cluster.file.read_bytes()

        bad = {"name": "Bad", "expression": "sum(\n  nosuch(up))", "targets": ["prod-bj"]}
        refused = await cluster.api.post("/rules", bad)
        await cluster.make_rule("Later")
        await cluster.runs("Good", "Later")

        assert refused.status == 400
        assert refused.error["code"] == "rule.expression_invalid"
        [found] = refused.error["details"]
        assert found["loc"] == ["expression"]
        assert (found["line"], found["column"]) == (2, 3)
        assert cluster.file.read_bytes() != before
        assert b"Bad" not in cluster.file.read_bytes()


async def test_a_rule_that_the_checker_refuses_is_held_back_and_the_others_ship(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    async with cluster_with_a_rule(database_url, redis_url, tmp_path) as cluster:
        rule = await cluster.make_rule("Refused", expression=TOO_NEW)
        await cluster.make_rule("Later")
        target = await cluster.target(rule, "error")
        await cluster.runs("Good", "Later")

        assert re.search('promtool: .*unknown function with name "sort_by_label"', target["error_message"])
        assert (await cluster.api.get(f"/rules/{rule}")).data["status"] == "error"

        await cluster.api.put(f"/rules/{rule}", {"expression": "up == 2"})
        await cluster.target(rule, "active", version="v1.0.1")
        await cluster.runs("Good", "Later", "Refused")


async def test_a_file_that_the_target_refuses_leaves_the_old_one_in_place_and_running(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    async with cluster_with_a_rule(database_url, redis_url, tmp_path, checker="off") as cluster:
        before = cluster.file.read_bytes()

        rule = await cluster.make_rule("Refused", expression=TOO_NEW)
        target = await cluster.target(rule, "error")

        assert (target["status"], target["sync_status"], target["applied_version"]) == ("error", "failed", None)
        assert "refuses the file" in target["error_message"]
        assert (await cluster.api.get(f"/rules/{rule}")).data["status"] == "error"
        assert cluster.file.read_bytes() == before
        await cluster.runs("Good")

        await cluster.api.put(f"/rules/{rule}", {"expression": "up == 2"})
        await cluster.target(rule, "active", version="v1.0.1")
        await cluster.runs("Good", "Refused")
