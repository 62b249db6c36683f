import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from alertagent.kernel.errors import Invalid
from alertagent.kernel.message import Kind, Line, Wording
from alertagent.plugins.addresses import AddressGuard
from alertagent.plugins.notifiers.teams import MAX_ALERTS, MAX_BUTTONS, MAX_BYTES, Teams, TeamsConfig
from alertagent.plugins.outcome import Ambiguous, Delivered, Outcome, Refused, RetryAfter
from alertagent.plugins.transport import Transport
from tests.support.chats import TeamsWorkflow
from tests.support.messages import NOON, make_alert, make_message
from tests.support.names import Names

PLUGIN = Teams()
URL = "https://prod-01.westeurope.logic.azure.com/workflows/x/triggers/manual/paths/invoke?sig=CANARY"
CONNECTOR = (
    "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error {} with ContextId x"
)

CARD = {
    "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
    "type": "AdaptiveCard",
    "version": "1.2",
    "body": [
        {
            "type": "TextBlock",
            "text": "[FIRING] HighCPU",
            "wrap": True,
            "weight": "Bolder",
            "size": "Medium",
            "style": "heading",
            "color": "Attention",
        },
        {
            "type": "FactSet",
            "facts": [
                {"title": "Severity", "value": "critical"},
                {"title": "Started", "value": "2026-11-22T14:40:00Z"},
            ],
        },
        {"type": "TextBlock", "text": "Description", "wrap": True, "weight": "Bolder"},
        {"type": "TextBlock", "text": "CPU usage is over 90%", "wrap": True, "spacing": "Small"},
        {"type": "TextBlock", "text": "Labels", "wrap": True, "weight": "Bolder"},
        {
            "type": "FactSet",
            "facts": [
                {"title": "alertname", "value": "HighCPU"},
                {"title": "instance", "value": "a:9100"},
                {"title": "severity", "value": "critical"},
            ],
        },
    ],
    "msteams": {"width": "full"},
    "actions": [
        {"type": "Action.OpenUrl", "title": "Alert", "url": "https://alertagent.example"},
        {"type": "Action.OpenUrl", "title": "Source", "url": "http://prom.example/graph?g0.expr=up"},
    ],
}


@pytest.fixture
async def workflow() -> AsyncIterator[TeamsWorkflow]:
    async with TeamsWorkflow() as workflow:
        yield workflow


def configured(**settings: Any) -> TeamsConfig:
    return PLUGIN.validate_config({"webhook_url": URL, **settings})


def card_of(*alerts: Any, **fields: Any) -> dict[str, Any]:
    post = json.loads(PLUGIN.render(configured(), make_message(*alerts, **fields), NOON).body)
    card: dict[str, Any] = post["attachments"][0]["content"]
    return card


def test_an_alert_is_an_adaptive_card() -> None:
    request = PLUGIN.render(configured(), make_message(), NOON)

    assert request.url == URL
    assert request.headers == {"Content-Type": "application/json"}
    assert json.loads(request.body) == {
        "type": "message",
        "attachments": [
            {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": CARD}
        ],
    }


def test_of_a_group_every_alert_has_its_line() -> None:
    alerts = [make_alert(severity="warning", instance=name) for name in "ab"]
    resolved = make_alert(severity="warning", instance="c", status="resolved", ends_at=NOON)

    shown = [element.get("text") for element in card_of(*alerts, resolved)["body"]]

    assert shown[2:6] == [
        "Alerts (3)",
        "HighCPU: instance=a",
        "HighCPU: instance=b",
        "［resolved］ HighCPU: instance=c",
    ]


@pytest.mark.parametrize(
    ("status", "severity", "colour"),
    [
        ("firing", "critical", "Attention"),
        ("firing", "", "Attention"),
        ("firing", "warning", "Warning"),
        ("firing", "info", "Accent"),
        ("resolved", "critical", "Good"),
    ],
)
def test_the_colour_says_how_bad_it_is(status: str, severity: str, colour: str) -> None:
    alert = make_alert(status=status, severity=severity, ends_at=NOON if status == "resolved" else None)

    assert card_of(alert)["body"][0]["color"] == colour


@pytest.mark.parametrize("hostile", ["<at>ops</at>", "[x](http://evil.test)", "**b**\n# h\n- i", "- i", "\u202etxt"])
def test_hostile_labels_mention_nobody_and_link_nowhere(hostile: str) -> None:
    alerts = [
        make_alert(hostile, severity=hostile, generator_url="javascript:alert(1)", number=str(number))
        for number in range(2)
    ]

    card = card_of(*alerts, content=hostile, title=hostile)

    body = json.dumps(card["body"], ensure_ascii=False)
    assert not any(mark in body for mark in ("<at", "](", "**b", "# h\\n", '"- i', "\\n", "\u202e"))
    assert [action["title"] for action in card["actions"]] == ["Alert"]


@pytest.mark.parametrize("filler", ["x", "告", "\n", "\\", '"', "\x00", "😀", "@", "_", "<"])
def test_no_request_exceeds_the_limit_and_every_alert_is_named(filler: str) -> None:
    alerts = [
        make_alert(f"Alert{number:02}", junk=f"{number}{filler * 5_000}", generator_url="http://a/" + "x" * 2_000)
        for number in range(MAX_ALERTS)
    ]
    message = make_message(*alerts, content=filler * 30_000, title=filler * 5_000)

    body = PLUGIN.render(configured(), message, NOON).body

    assert len(body) <= MAX_BYTES
    assert all(f"Alert{number:02}" in body.decode() for number in range(MAX_ALERTS))


def test_a_template_of_many_links_exceeds_no_limit() -> None:
    links = tuple(
        Line(kind=Kind.LINK, text="x" * 1_500, url=f"https://wiki.example/{number}/{'x' * 400}")
        for number in range(400)
    )

    request = PLUGIN.render(configured(), make_message(wording=Wording(lines=links)), NOON)

    assert len(request.body) <= MAX_BYTES
    actions = json.loads(request.body)["attachments"][0]["content"]["actions"]
    assert len(actions) == MAX_BUTTONS
    assert actions[0] == {"type": "Action.OpenUrl", "title": "Alert", "url": "https://alertagent.example"}


def test_what_is_left_out_is_told() -> None:
    alert = make_alert(annotations={f"note{number:02}": "x" * 5_000 for number in range(50)})

    body = PLUGIN.render(configured(), make_message(alert), NOON).body

    assert len(body) <= MAX_BYTES
    assert json.loads(body)["attachments"][0]["content"]["body"][-1]["text"] == "… (shortened)"


@pytest.mark.parametrize(
    ("status", "body"), [(202, b""), (202, b"accepted"), (200, b"1"), (200, b""), (200, b" 1\r\n"), (204, b"")]
)
def test_what_workflows_and_connectors_say_when_they_took_it(status: int, body: bytes) -> None:
    outcome = PLUGIN.accept(status, {}, body)

    assert isinstance(outcome, Delivered)
    assert outcome.code == f"http.{status}"


@pytest.mark.parametrize(
    ("inner", "kind"),
    [(400, Refused), (403, Refused), (404, Refused), (413, Refused), (429, RetryAfter), (500, RetryAfter)],
)
def test_a_connector_tells_in_words_inside_a_200(inner: int, kind: type[Outcome]) -> None:
    outcome = PLUGIN.accept(200, {}, CONNECTOR.format(inner).encode())

    assert isinstance(outcome, kind)
    assert outcome.code == f"http.{inner}"
    assert "returned HTTP error" in outcome.text


@pytest.mark.parametrize("body", [b"<html>", b"{}", b"0", b"System.Net.Http.HttpRequestException: Error while copying"])
def test_any_other_word_inside_a_200_is_ambiguous(body: bytes) -> None:
    assert isinstance(PLUGIN.accept(200, {}, body), Ambiguous)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (302, Refused),
        (400, Refused),
        (401, Refused),
        (404, Refused),
        (413, Refused),
        (429, RetryAfter),
        (502, RetryAfter),
    ],
)
def test_any_other_status_decides_by_itself(status: int, kind: type[Outcome]) -> None:
    outcome = PLUGIN.accept(status, {}, CONNECTOR.format(500).encode())

    assert isinstance(outcome, kind)
    assert outcome.code == f"http.{status}"


def test_a_workflow_says_when_to_come_again() -> None:
    outcome = PLUGIN.accept(429, {"Retry-After": "7"}, b"")

    assert isinstance(outcome, RetryAfter)
    assert outcome.after == timedelta(seconds=7)


async def test_the_workflow_takes_the_card(workflow: TeamsWorkflow, transport: Transport) -> None:
    outcome = await PLUGIN.send(configured(webhook_url=workflow.url), make_message(), transport, now=NOON)

    assert outcome == Delivered(code="http.202", text="")
    assert [post["attachments"][0]["content"] for post in workflow.posts] == [CARD]


async def test_a_workflow_that_was_removed_is_final(workflow: TeamsWorkflow, transport: Transport) -> None:
    outcome = await PLUGIN.send(configured(webhook_url=f"{workflow.url}x"), make_message(), transport, now=NOON)

    assert isinstance(outcome, Refused)
    assert "WorkflowNotFound" in outcome.text


async def test_a_health_check_posts_nothing(workflow: TeamsWorkflow, transport: Transport) -> None:
    health = await PLUGIN.health_check(configured(webhook_url=workflow.url), transport)

    assert health.healthy
    assert workflow.attempts == 0


@pytest.mark.parametrize(
    ("settings", "loc"),
    [
        ({"webhook_url": "logic.azure.com/CANARY"}, ("webhook_url",)),
        ({"webhook_url": None}, ("webhook_url",)),
        ({"token": "CANARY"}, ("token",)),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, Any], loc: tuple[str | int, ...]) -> None:
    with pytest.raises(Invalid) as caught:
        configured(**settings)

    assert [detail.loc for detail in caught.value.details] == [loc]
    assert "CANARY" not in caught.value.message


def test_the_address_is_never_read_back() -> None:
    assert PLUGIN.mask_config({"webhook_url": URL}) == {"webhook_url": "***"}
    assert "CANARY" not in repr(configured())


async def test_an_address_that_is_not_public_is_named() -> None:
    guard = AddressGuard(resolver=Names(private_test=["10.0.0.1"]))

    with pytest.raises(Invalid, match="not public") as caught:
        await PLUGIN.check_config(configured(webhook_url="http://private.test/CANARY"), guard)

    assert caught.value.details[0].loc == ("webhook_url",)
    assert "CANARY" not in caught.value.message
