"""The whole service, started and stopped inside the test."""

from tests.support.service import Api


async def test_a_rule_made_over_http_is_read_back(api: Api) -> None:
    made = await api.post("/rules", {"name": "HostDown", "expression": "up == 0", "targets": ["c1"]})

    assert made.status == 201
    assert (await api.get(f"/rules/{made.data['id']}")).data["expression"] == "up == 0"


async def test_a_running_service_is_ready(api: Api) -> None:
    answer = await api.get("//readyz?verbose")

    assert answer.json == {"status": "ready", "checks": {"database": "ok", "redis": "ok"}}
