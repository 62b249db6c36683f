import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from alertagent.kernel.errors import Invalid
from alertagent.plugins.notifiers.discord import MAX_ALERTS, Discord, DiscordConfig, escaped
from alertagent.plugins.outcome import Ambiguous, Delivered, Outcome, Refused, RetryAfter
from alertagent.plugins.transport import Transport
from tests.support.messages import NOON, make_alert, make_hostile, make_message
from tests.support.messengers import DiscordChannel

PLUGIN = Discord()
URL = "https://discord.com/api/webhooks/1/CANARY"

FIRING = """\
**Severity:** critical
**Started:** 2026-11-22T14:40:00Z
[Alert](https://alertagent.example)
[Source](http://prom.example/graph?g0.expr=up)

**Description**
CPU usage is over 90%

**Labels**
**alertname:** HighCPU
**instance:** a:9100
**severity:** critical"""


@pytest.fixture
async def channel() -> AsyncIterator[DiscordChannel]:
    async with DiscordChannel() as channel:
        yield channel


def configured(**settings: Any) -> DiscordConfig:
    return PLUGIN.validate_config({"webhook_url": URL, **settings})


def embed_of(*alerts: Any, **fields: Any) -> dict[str, Any]:
    [embed] = json.loads(PLUGIN.render(configured(), make_message(*alerts, **fields), NOON).body)["embeds"]
    found: dict[str, Any] = embed
    return found


def test_a_message_is_one_embed_that_mentions_nobody() -> None:
    request = PLUGIN.render(configured(), make_message(), NOON)

    assert (request.method, request.url) == ("POST", f"{URL}?wait=true")
    assert json.loads(request.body) == {
        "embeds": [
            {
                "title": "\\[FIRING\\] HighCPU",
                "description": FIRING,
                "color": 0xD32F2F,
                "timestamp": "2026-11-22T14:40:00Z",
            }
        ],
        "allowed_mentions": {"parse": []},
    }


def test_the_thread_of_the_url_is_kept() -> None:
    request = PLUGIN.render(configured(webhook_url=f"{URL}?wait=false&thread_id=7"), make_message(), NOON)

    assert request.url == f"{URL}?thread_id=7&wait=true"


def test_the_colour_tells_the_state() -> None:
    colours = [embed_of(severity=severity)["color"] for severity in ("critical", "error", "warning", "info")]

    assert len({*colours, embed_of(make_alert(status="resolved"))["color"]}) == 5


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("*bold* _it_ `code` ~~no~~ ||no||", "\\*bold\\* \\_it\\_ \\`code\\` \\~\\~no\\~\\~ \\|\\|no\\|\\|"),
        ("@everyone <@1> <t:1>", "\\@everyone \\<\\@1\\> \\<t:1\\>"),
        ("[x](http://evil)", "\\[x\\]\\(http://evil\\)"),
        ("# heading", "\\# heading"),
        ("- item", "\\- item"),
        ("1. item", "1\\. item"),
        ("a-b #1", "a-b #1"),
        ("\\*", "\\\\\\*"),
        ("two\nlines\x00\u202e", "two lines"),
    ],
)
def test_text_is_shown_as_it_stands(value: str, expected: str) -> None:
    assert escaped(value) == expected


def test_an_address_cannot_leave_its_link_and_one_that_is_too_long_is_left_out() -> None:
    bad = embed_of(make_alert(generator_url="http://prom.example/?a=(b)[c]<d>"))["description"]
    long = embed_of(make_alert(generator_url=f"http://prom.example/?a={'x' * 600}"))["description"]

    assert "[Source](http://prom.example/?a=%28b%29%5Bc%5D%3Cd%3E)" in bad
    assert "[Source]" not in long


@pytest.mark.parametrize("filler", ["x", "告", "\n", "*", "\\", "@", "#", '"', "\x00", "😀", "\u202e", "\ud800"])
async def test_every_message_is_taken_and_names_every_alert(
    filler: str, channel: DiscordChannel, transport: Transport
) -> None:
    outcome = await PLUGIN.send(
        configured(webhook_url=channel.url), make_hostile(MAX_ALERTS, filler), transport, now=NOON
    )

    assert isinstance(outcome, Delivered)
    description = channel.messages[0]["embeds"][0]["description"]
    assert all(f"Alert{number:03}" in description for number in range(MAX_ALERTS))


LIMITED = b'{"message":"You are being rate limited.","retry_after":1.2,"global":false}'
UNKNOWN = b'{"message": "Unknown Webhook", "code": 10015}'
FORM = b'{"message": "Invalid Form Body", "code": 50035}'
REPLIES: list[tuple[int, dict[str, str], bytes, Outcome]] = [
    (200, {}, b'{"id":"7","content":""}', Delivered(code="http.200", message_id="7")),
    (204, {}, b"", Delivered(code="http.204")),
    (200, {}, b"<html>", Ambiguous(code="http.200", text="the answer names no message: <html>")),
    (200, {}, b"{}", Ambiguous(code="http.200", text="the answer names no message: {}")),
    (
        429,
        {"Retry-After": "2"},
        LIMITED,
        RetryAfter(after=timedelta(seconds=1.2), code="http.429", text=LIMITED.decode(), pause_channel=True),
    ),
    (
        429,
        {"Retry-After": "600"},
        b"<html>",
        RetryAfter(after=timedelta(minutes=10), code="http.429", text="<html>", pause_channel=True),
    ),
    (429, {}, b"", RetryAfter(code="http.429", text="")),
    (404, {}, UNKNOWN, Refused(code="10015", text=UNKNOWN.decode())),
    (400, {}, FORM, Refused(code="50035", text=FORM.decode())),
    (400, {}, b'{"embeds":["0"]}', Refused(code="http.400", text='{"embeds":["0"]}')),
    (401, {}, b"", Refused(code="http.401", text="HTTP status 401")),
    (502, {}, b"", RetryAfter(code="http.502", text="HTTP status 502")),
]


@pytest.mark.parametrize(("status", "headers", "body", "outcome"), REPLIES)
def test_the_answer_decides(status: int, headers: dict[str, str], body: bytes, outcome: Outcome) -> None:
    assert PLUGIN.accept(status, headers, body) == outcome


async def test_a_message_is_posted_once_and_confirmed(channel: DiscordChannel, transport: Transport) -> None:
    outcome = await PLUGIN.send(configured(webhook_url=channel.url), make_message(), transport, now=NOON)

    assert outcome == Delivered(code="http.200", message_id="1000")
    assert [message["embeds"][0]["description"] for message in channel.messages] == [FIRING]


async def test_a_webhook_that_was_deleted_is_final(channel: DiscordChannel, transport: Transport) -> None:
    config = configured(webhook_url=f"{channel.origin}/api/webhooks/2/CANARY")

    outcome = await PLUGIN.send(config, make_message(), transport, now=NOON)

    assert isinstance(outcome, Refused)
    assert outcome.code == "10015"
    assert "CANARY" not in outcome.text


@pytest.mark.parametrize(
    ("settings", "loc"),
    [
        ({"webhook_url": "discord.com/CANARY"}, ("webhook_url",)),
        ({"webhook_url": None}, ("webhook_url",)),
        ({"username": "CANARY"}, ("username",)),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, Any], loc: tuple[str, ...]) -> None:
    with pytest.raises(Invalid) as caught:
        configured(**settings)

    assert [detail.loc for detail in caught.value.details] == [loc]
    assert "CANARY" not in caught.value.message


def test_the_url_is_never_read_back() -> None:
    assert PLUGIN.mask_config({"webhook_url": URL}) == {"webhook_url": "***"}
    assert "CANARY" not in repr(configured())


async def test_a_health_check_posts_nothing(channel: DiscordChannel, transport: Transport) -> None:
    assert (await PLUGIN.health_check(configured(webhook_url=channel.url), transport)).healthy
    assert channel.attempts == 0


async def test_a_health_check_knows_bad_credentials(channel: DiscordChannel, transport: Transport) -> None:
    health = await PLUGIN.health_check(configured(webhook_url=f"{channel.origin}/api/webhooks/2/CANARY"), transport)

    assert not health.healthy
    assert "CANARY" not in health.text
