"""The whole service, started and stopped inside the test."""

import asyncio

import pytest

from tests.support.service import Api


async def test_a_rule_made_over_http_is_read_back(api: Api) -> None:
    made = await api.post("/rules", {"name": "HostDown", "expression": "up == 0", "targets": ["c1"]})

    assert made.status == 201
    assert (await api.get(f"/rules/{made.data['id']}")).data["expression"] == "up == 0"


async def test_a_running_service_is_ready(api: Api) -> None:
    answer = await api.get("//readyz?verbose")

    assert answer.json == {"status": "ready", "checks": {"database": "ok", "redis": "ok"}}


@pytest.mark.usefixtures("api")
async def test_what_nobody_asks_for_goes_on_in_the_background() -> None:
    running = {getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks()}

    assert running >= {"giving_back", "Waking.looking_again", "Breakers.watching"}
