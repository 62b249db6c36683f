"""The breakers of channels and analyzers over HTTP and among the metrics."""

from alertagent.app import Service
from tests.core.alerts.house import until
from tests.core.notify.test_api import add, fire
from tests.support.dify import KEY
from tests.support.service import Api
from tests.support.sink import Sink


async def open_breaker(service: Service, key: str) -> None:
    await service.parts.breakers.record(key, [True] * 5)


async def test_a_channel_shows_its_breaker_until_a_person_closes_it(api: Api, service: Service, sink: Sink) -> None:
    made = await add(api, plugin="webhook", config={"url": sink.url})
    console = await add(api, "out")
    path = f"/channels/{made['id']}"
    channel = await service.parts.channels.get(made["id"])
    circuit = service.parts.circuits.circuit_of(channel)
    assert circuit is not None
    await open_breaker(service, circuit)

    shown = (await api.get(path)).data["breaker"]
    listed = {each["name"]: each["breaker"] for each in (await api.get("/channels")).data}
    reset = await api.post(f"{path}/breaker/reset", {})
    after = (await api.get(path)).data["breaker"]
    none = await api.post(f"/channels/{console['id']}/breaker/reset", {})

    closed = {"state": "closed", "until": None, "recent_failures": 0}
    assert made["breaker"] == closed
    assert (shown["state"], shown["recent_failures"], bool(shown["until"])) == ("open", 5, True)
    assert listed == {"ops": shown, "out": None}
    assert (reset.status, reset.data, after) == (200, closed, closed)
    assert (none.status, none.error["code"]) == (409, "channel.no_breaker")


async def test_what_waits_goes_out_when_a_person_closes_the_breaker(api: Api, service: Service, sink: Sink) -> None:
    made = await add(api, plugin="webhook", config={"url": sink.url}, default=True)
    circuit = service.parts.circuits.circuit_of(await service.parts.channels.get(made["id"]))
    assert circuit is not None
    await open_breaker(service, circuit)
    await fire(api, "Waiting")

    async def is_put_off() -> bool:
        rows = "SELECT count(*) FROM task_queue WHERE task_type = 'deliver' AND retry_count = 1 AND status = 'pending'"
        return bool(await service.parts.database.fetchval(rows))

    await until(is_put_off)
    assert not sink.requests

    await api.post(f"/channels/{made['id']}/breaker/reset", {})

    [request] = await sink.wait_for(1)
    assert b"Waiting" in request.body


async def test_a_test_message_goes_out_and_closes_it(api: Api, service: Service, sink: Sink) -> None:
    made = await add(api, plugin="webhook", config={"url": sink.url})
    path = f"/channels/{made['id']}"
    circuit = service.parts.circuits.circuit_of(await service.parts.channels.get(made["id"]))
    assert circuit is not None
    await open_breaker(service, circuit)

    answer = await api.post(f"{path}/test", {})

    assert answer.data["delivered"]
    assert (await api.get(path)).data["breaker"]["state"] == "closed"


async def test_an_analyzer_s_breaker_is_closed_by_a_person(api: Api, service: Service, sink: Sink) -> None:
    config = {"base_url": sink.origin, "api_key": KEY}
    made = (await api.post("/analyzers", {"name": "d", "provider": "dify", "config": config})).data
    built_in = (await api.post("/analyzers", {"name": "h", "provider": "heuristic"})).data
    chosen = service.parts.analyzers.chosen(await service.parts.analyzers.get(made["id"]))
    assert chosen.circuit is not None
    await open_breaker(service, chosen.circuit)
    assert (await api.get(f"/analyzers/{made['id']}")).data["circuit"]["state"] == "open"

    reset = await api.post(f"/analyzers/{made['id']}/breaker/reset", {})
    none = await api.post(f"/analyzers/{built_in['id']}/breaker/reset", {})

    assert (reset.status, reset.data["state"]) == (200, "closed")
    assert (await api.get(f"/analyzers/{made['id']}")).data["circuit"]["state"] == "closed"
    assert (none.status, none.error["code"]) == (409, "analyzer.no_breaker")
    audit = await service.parts.database.fetchval("SELECT subject_id FROM audit_log WHERE action LIKE '%breaker_reset'")
    assert audit == made["id"]


async def test_the_metrics_show_those_that_are_not_closed(service: Service) -> None:
    registry, breakers = service.parts.metrics.registry, service.parts.breakers
    for key in ("webhook http://a 1", "webhook http://b 2", "dify http://c 3"):
        await open_breaker(service, key)
    await breakers.record("webhook http://d 4", [True])
    await breakers.show()
    shown = {
        (sample.labels["plugin"], sample.labels["state"]): sample.value
        for family in registry.collect()
        if family.name == "alertagent_breakers"
        for sample in family.samples
    }

    await breakers.passed("dify http://c 3")
    await breakers.show()

    assert shown == {("webhook", "open"): 2, ("dify", "open"): 1}
    left = {"plugin": "dify", "state": "open"}
    assert registry.get_sample_value("alertagent_breakers", left) is None
