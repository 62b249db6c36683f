import json
from typing import Any

import pytest

from alertagent.kernel.errors import Invalid
from alertagent.plugins.notifiers.incident import incident_key
from alertagent.plugins.notifiers.opsgenie import Opsgenie, OpsgenieConfig
from alertagent.plugins.outcome import Ambiguous, Delivered, Outcome, Refused, RetryAfter
from alertagent.plugins.transport import Transport
from tests.support.messages import NOON, make_alert, make_hostile, make_message
from tests.support.pagers import API_KEY, OpsgenieAlerts

PLUGIN = Opsgenie()
TAKEN = b'{"result":"Request will be processed","took":0.1,"requestId":"r-1"}'


def configured(**settings: Any) -> OpsgenieConfig:
    return PLUGIN.validate_config({"api_key": API_KEY, **settings})


def test_what_fires_creates_an_alert() -> None:
    message = make_message()

    request = PLUGIN.render(
        configured(responders=[{"name": "sre"}, {"type": "user", "username": "a@x"}]), message, NOON
    )

    assert (request.method, request.url) == ("POST", "https://api.opsgenie.com/v2/alerts")
    assert request.headers == {"Content-Type": "application/json", "Authorization": f"GenieKey {API_KEY}"}
    body = json.loads(request.body)
    description = body.pop("description")
    assert body == {
        "message": "[FIRING] HighCPU",
        "alias": incident_key(message),
        "details": {"alertname": "HighCPU", "severity": "critical", "instance": "a:9100"},
        "entity": "a:9100",
        "source": "AlertAgent",
        "priority": "P1",
        "responders": [{"type": "team", "name": "sre"}, {"type": "user", "username": "a@x"}],
    }
    assert description.startswith("Severity: critical\nStarted: 2026-11-22T14:40:00Z\n")
    assert "CPU usage is over 90%" in description


def test_the_end_closes_by_alias() -> None:
    message = make_message(make_alert(status="resolved", ends_at=NOON))

    request = PLUGIN.render(configured(base_url="https://api.eu.opsgenie.com/"), message, NOON)

    alias = incident_key(message)
    assert request.url == f"https://api.eu.opsgenie.com/v2/alerts/{alias}/close?identifierType=alias"
    assert json.loads(request.body) == {"source": "AlertAgent"}


@pytest.mark.parametrize(
    ("severity", "priority"), [("critical", "P1"), ("error", "P2"), ("warning", "P3"), ("info", "P5"), ("?", "P2")]
)
def test_a_severity_becomes_a_priority(severity: str, priority: str) -> None:
    assert json.loads(PLUGIN.render(configured(), make_message(severity=severity), NOON).body)["priority"] == priority


@pytest.mark.parametrize("filler", ["x", "告", "\n", "\\", "\x00", "😀", "\u202e", "\ud800"])
async def test_nothing_exceeds_a_limit_and_every_alert_is_named(filler: str, transport: Transport) -> None:
    message = make_hostile(200, filler)

    async with OpsgenieAlerts() as opsgenie:
        outcome = await PLUGIN.send(configured(base_url=opsgenie.origin), message, transport, now=NOON)
        [incident] = opsgenie.incidents.values()

    assert isinstance(outcome, Delivered)
    assert all(f"Alert{number:03}" in incident["description"] for number in range(200))


REPLIES: list[tuple[int, bytes, Outcome]] = [
    (202, TAKEN, Delivered(code="http.202", text=TAKEN.decode(), message_id="r-1")),
    (202, b"", Ambiguous(code="http.202", text="the answer has no requestId: ")),
    (200, b"<html>", Ambiguous(code="http.200", text="the answer has no requestId: <html>")),
    (202, b'{"requestId":7}', Ambiguous(code="http.202", text='the answer has no requestId: {"requestId":7}')),
    (400, b"{}", Refused(code="http.400", text="{}")),
    (401, b"{}", Refused(code="http.401", text="{}")),
    (403, b"{}", Refused(code="http.403", text="{}")),
    (404, b"{}", Refused(code="http.404", text="{}")),
    (422, b'{"message":"m"}', Refused(code="http.422", text='{"message":"m"}')),
    (429, b"{}", RetryAfter(code="http.429", text="{}")),
    (503, b"{}", RetryAfter(code="http.503", text="{}")),
]


@pytest.mark.parametrize(("status", "body", "outcome"), REPLIES)
def test_the_answer_decides(status: int, body: bytes, outcome: Outcome) -> None:
    assert PLUGIN.accept(status, {}, body) == outcome


async def test_an_alert_is_created_once_and_closed(transport: Transport) -> None:
    async with OpsgenieAlerts() as opsgenie:
        config = configured(base_url=opsgenie.origin)
        for number in range(2):
            outcome = await PLUGIN.send(config, make_message(id=str(number)), transport, now=NOON)
            assert outcome == Delivered(
                code="http.202",
                text=json.dumps(
                    {"result": "Request will be processed", "took": 0.1, "requestId": f"request-{number + 1}"}
                ),
                message_id=f"request-{number + 1}",
            )
        assert len(opsgenie.incidents) == 1
        await PLUGIN.send(config, make_message(make_alert(status="resolved")), transport, now=NOON)
        assert opsgenie.incidents == {}


async def test_a_wrong_key_is_final(transport: Transport) -> None:
    async with OpsgenieAlerts() as opsgenie:
        config = configured(base_url=opsgenie.origin, api_key="CANARY")
        outcome = await PLUGIN.send(config, make_message(), transport, now=NOON)

    assert isinstance(outcome, Refused)
    assert outcome.code == "http.403"
    assert "CANARY" not in outcome.text


@pytest.mark.parametrize(
    ("settings", "loc"),
    [
        ({"api_key": ""}, ("api_key",)),
        ({"api_key": "CANARY\r\nHost: evil"}, ("api_key",)),
        ({"api_key": "密钥"}, ("api_key",)),
        ({"responders": [{"type": "team"}]}, ("responders", 0)),
        ({"responders": [{"name": "a", "id": "b"}]}, ("responders", 0)),
        ({"responders": [{"name": "a", "type": "robot"}]}, ("responders", 0, "type")),
        ({"responders": [{"name": "a"}] * 51}, ("responders",)),
        ({"base_url": "https://api.eu.opsgenie.com/#CANARY"}, ("base_url",)),
        ({"team": "CANARY"}, ("team",)),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, Any], loc: tuple[str | int, ...]) -> None:
    with pytest.raises(Invalid) as caught:
        configured(**settings)

    assert [detail.loc for detail in caught.value.details] == [loc]
    assert "CANARY" not in caught.value.message


def test_the_key_is_never_read_back() -> None:
    assert PLUGIN.mask_config({"api_key": "CANARY"}) == {"api_key": "***"}
    assert "CANARY" not in repr(configured(api_key="CANARY"))


async def test_a_health_check_posts_nothing(transport: Transport) -> None:
    async with OpsgenieAlerts() as opsgenie:
        assert (await PLUGIN.health_check(configured(base_url=opsgenie.origin), transport)).healthy
        assert opsgenie.attempts == 0
