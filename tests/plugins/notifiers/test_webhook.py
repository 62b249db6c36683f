import base64
import hashlib
import hmac
import json
from datetime import timedelta
from typing import Any

import pytest

from alertagent.kernel.errors import Invalid
from alertagent.plugins.addresses import AddressGuard
from alertagent.plugins.notifiers.webhook import Webhook, WebhookConfig, sign
from alertagent.plugins.outcome import Ambiguous, Delivered, Outcome, Refused, RetryAfter
from alertagent.plugins.transport import Transport
from tests.support.messages import NOON, make_alert, make_message
from tests.support.sink import Answer, Sink

PLUGIN = Webhook()
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def configured(**settings: Any) -> WebhookConfig:
    return PLUGIN.validate_config({"url": "https://hooks.example/x", **settings})


def test_the_signature_is_the_one_of_standard_webhooks() -> None:
    signature = sign(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')

    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_while_a_key_is_exchanged_both_sign() -> None:
    other = "whsec_" + base64.b64encode(b"the next key").decode()
    old, new = (sign(secret, "msg_1", 1614265330, b"{}") for secret in (SECRET, other))

    assert sign(f"{SECRET} {other}", "msg_1", 1614265330, b"{}") == f"{old} {new}"


def test_the_body_is_alertmanagers() -> None:
    message = make_message(
        make_alert(severity="critical", instance="a", annotations={"summary": "hot"}),
        make_alert(severity="critical", instance="b", status="resolved", ends_at=NOON + timedelta(seconds=90.5)),
    )
    firing, resolved = message.group.alerts

    assert json.loads(PLUGIN.render(configured(), message, NOON).body) == {
        "receiver": "ops",
        "status": "firing",
        "alerts": [
            {
                "status": "firing",
                "labels": {"alertname": "HighCPU", "severity": "critical", "instance": "a"},
                "annotations": {"summary": "hot"},
                "startsAt": "2026-11-22T14:40:00Z",
                "endsAt": "0001-01-01T00:00:00Z",
                "generatorURL": "http://prom.example/graph?g0.expr=up",
                "fingerprint": firing.fingerprint,
            },
            {
                "status": "resolved",
                "labels": {"alertname": "HighCPU", "severity": "critical", "instance": "b"},
                "annotations": {},
                "startsAt": "2026-11-22T14:40:00Z",
                "endsAt": "2026-11-22T14:41:30.500000Z",
                "generatorURL": "http://prom.example/graph?g0.expr=up",
                "fingerprint": resolved.fingerprint,
            },
        ],
        "groupLabels": {"alertname": "HighCPU"},
        "commonLabels": {"alertname": "HighCPU", "severity": "critical"},
        "commonAnnotations": {},
        "externalURL": "https://alertagent.example",
        "version": "4",
        "groupKey": '{}:{alertname="HighCPU"}',
        "truncatedAlerts": 0,
    }


def test_a_repetition_has_the_same_id_and_body_and_its_own_time() -> None:
    config = configured(secret=SECRET, headers={"Authorization": "Bearer t"})
    first = PLUGIN.render(config, make_message(), NOON)
    second = PLUGIN.render(config, make_message(), NOON + timedelta(minutes=5))

    assert first.body == second.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == make_message().id
    assert first.headers["webhook-timestamp"] == "1795358400"
    assert second.headers["webhook-timestamp"] == "1795358700"
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]
    assert first.headers["Authorization"] == "Bearer t"
    assert first.headers["Content-Type"] == "application/json"


def test_without_a_secret_there_is_no_signature() -> None:
    assert "webhook-signature" not in PLUGIN.render(configured(), make_message(), NOON).headers


@pytest.mark.parametrize(("secret", "key"), [(SECRET, base64.b64decode(SECRET[6:])), ("plain text", b"plain text")])
async def test_a_receiver_can_verify_what_arrives(secret: str, key: bytes, sink: Sink, transport: Transport) -> None:
    outcome = await PLUGIN.send(configured(url=sink.url, secret=secret), make_message(), transport, now=NOON)

    [received] = sink.requests
    signed = b".".join(
        [received.headers["webhook-id"].encode(), received.headers["webhook-timestamp"].encode(), received.body]
    )
    expected = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    assert received.headers["webhook-signature"] == f"v1,{expected}"
    assert outcome == Delivered(code="http.200", text="ok")


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Answer(status=204, body=b""), Delivered(code="http.204")),
        (Answer(status=202, body=b"later"), Delivered(code="http.202", text="later")),
        (Answer(status=302, body=b"", headers={"Location": "/"}), Refused(code="http.302", text="HTTP status 302")),
        (Answer(status=400, body=b"bad"), Refused(code="http.400", text="bad")),
        (Answer(status=410, body=b"gone"), Refused(code="http.410", text="gone", gone=True)),
        (
            Answer(status=429, body=b"slow", headers={"Retry-After": "30"}),
            RetryAfter(after=timedelta(seconds=30), code="http.429", text="slow"),
        ),
        (
            Answer(
                status=503,
                body=b"busy",
                headers={"Date": "Sun, 22 Nov 2026 14:40:00 GMT", "Retry-After": "Sun, 22 Nov 2026 14:41:00 GMT"},
            ),
            RetryAfter(after=timedelta(minutes=1), code="http.503", text="busy"),
        ),
    ],
    ids=lambda value: str(value.status) if isinstance(value, Answer) else "",
)
async def test_the_status_decides(answer: Answer, outcome: Outcome, sink: Sink, transport: Transport) -> None:
    sink.answer_next(answer)

    assert await PLUGIN.send(configured(url=sink.url), make_message(), transport, now=NOON) == outcome
    assert len(sink.requests) == 1


async def test_a_hang_up_after_the_request_is_ambiguous(sink: Sink, transport: Transport) -> None:
    sink.answer_next(Answer(fault="hang_up"))

    outcome = await PLUGIN.send(configured(url=f"{sink.url}?t=CANARY"), make_message(), transport, now=NOON)

    assert isinstance(outcome, Ambiguous)
    assert outcome.code == "outgoing.unanswered"
    assert "CANARY" not in outcome.text


async def test_a_receiver_that_is_away_is_tried_again(transport: Transport) -> None:
    async with Sink() as sink:
        url = f"{sink.url}?t=CANARY"

    outcome = await PLUGIN.send(configured(url=url), make_message(), transport, now=NOON)

    assert isinstance(outcome, RetryAfter)
    assert outcome.code == "outgoing.unreachable"
    assert "CANARY" not in outcome.text


async def test_a_forbidden_address_is_final_and_names_the_setting(sink: Sink) -> None:
    async with Transport(AddressGuard()) as transport:
        outcome = await PLUGIN.send(configured(url=sink.url), make_message(), transport, now=NOON)

    assert isinstance(outcome, Refused)
    assert outcome.code == "outgoing.forbidden"
    assert "outgoing.allow_networks" in outcome.text
    assert sink.requests == []


async def test_a_health_check_asks_only_for_the_front_page(sink: Sink, transport: Transport) -> None:
    health = await PLUGIN.health_check(configured(url=f"{sink.url}?t=1"), transport)

    assert health.healthy
    assert [(received.method, received.target) for received in sink.requests] == [("HEAD", "/")]


async def test_a_health_check_says_what_is_wrong(transport: Transport) -> None:
    async with Sink() as sink:
        url = sink.url

    health = await PLUGIN.health_check(configured(url=url), transport)

    assert not health.healthy
    assert "could not be reached" in health.text


async def test_an_address_inside_is_refused_when_it_is_saved() -> None:
    with pytest.raises(Invalid, match=r"outgoing\.allow_networks") as caught:
        await PLUGIN.check_config(configured(url="http://127.0.0.1/"), AddressGuard())

    assert caught.value.details[0].loc == ("url",)


@pytest.mark.parametrize(
    ("settings", "loc"),
    [
        ({"url": "hooks.example"}, ("url",)),
        ({"secret": ""}, ("secret",)),
        ({"secret": "whsec_"}, ("secret",)),
        ({"secret": "whsec_CANARY!"}, ("secret",)),
        ({"secret": f"{SECRET} CANARY"}, ("secret",)),
        ({"secret": f"{SECRET} whsec_"}, ("secret",)),
        ({"headers": {"Host": "evil"}}, ("headers",)),
        ({"headers": {"content-TYPE": "text/plain"}}, ("headers",)),
        ({"headers": {"Webhook-Signature": "v1,CANARY"}}, ("headers",)),
        ({"headers": {"X-Bad": "CANARY\r\nHost: evil"}}, ("headers",)),
        ({"headers": {"X Bad": "1"}}, ("headers",)),
        ({"headers": {"": "1"}}, ("headers",)),
        ({"headers": {f"X-{number}": "1" for number in range(33)}}, ("headers",)),
        ({"headers": {"X-A": None}}, ("headers", "X-A")),
        ({"method": "GET"}, ("method",)),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, Any], loc: tuple[str, ...]) -> None:
    with pytest.raises(Invalid) as caught:
        configured(**settings)

    assert [detail.loc for detail in caught.value.details] == [loc]
    assert "CANARY" not in caught.value.message


def test_the_schema_bounds_the_headers() -> None:
    headers = PLUGIN.config_schema()["properties"]["headers"]

    assert (headers["type"], headers["maxProperties"], headers["x-secret"]) == ("object", 32, True)


def test_the_values_of_headers_are_never_read_back() -> None:
    raw = {"url": "https://hooks.example/x", "secret": SECRET, "headers": {"Authorization": "CANARY"}}

    assert PLUGIN.mask_config(raw) == {**raw, "secret": "***", "headers": {"Authorization": "***"}}
    assert "CANARY" not in repr(configured(headers={"Authorization": "CANARY"}))
