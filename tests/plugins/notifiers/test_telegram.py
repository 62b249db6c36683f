import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from alertagent.kernel.errors import Invalid
from alertagent.kernel.message import Thread
from alertagent.plugins.notifiers.telegram import MAX_ALERTS, Telegram, TelegramConfig
from alertagent.plugins.outcome import Ambiguous, Delivered, Outcome, Refused, RetryAfter
from alertagent.plugins.transport import Transport
from tests.support.messages import NOON, make_alert, make_hostile, make_message
from tests.support.messengers import CHAT, TOKEN, TelegramBot, shown

PLUGIN = Telegram()

FIRING = """\
<b>[FIRING] HighCPU</b>

<b>Severity:</b> critical
<b>Started:</b> 2026-11-22T14:40:00Z
<a href="https://alertagent.example">Alert</a>
<a href="http://prom.example/graph?g0.expr=up">Source</a>

<b>Description</b>
CPU usage is over 90%

<b>Labels</b>
<b>alertname:</b> HighCPU
<b>instance:</b> a:9100
<b>severity:</b> critical"""


@pytest.fixture
async def bot() -> AsyncIterator[TelegramBot]:
    async with TelegramBot() as bot:
        yield bot


def configured(**settings: Any) -> TelegramConfig:
    return PLUGIN.validate_config({"bot_token": TOKEN, "chat_id": CHAT, **settings})


def text_of(*alerts: Any, **fields: Any) -> str:
    text: str = json.loads(PLUGIN.render(configured(), make_message(*alerts, **fields), NOON).body)["text"]
    return text


def test_the_request_is_a_send_message_in_html() -> None:
    request = PLUGIN.render(configured(thread_id=7), make_message(), NOON)

    assert (request.method, request.url) == ("POST", f"https://api.telegram.org/bot{TOKEN}/sendMessage")
    assert json.loads(request.body) == {
        "chat_id": CHAT,
        "text": FIRING,
        "parse_mode": "HTML",
        "link_preview_options": {"is_disabled": True},
        "message_thread_id": 7,
    }


async def test_what_comes_later_replies_to_the_first_message_even_if_that_is_gone(
    bot: TelegramBot, transport: Transport
) -> None:
    config = configured(base_url=bot.origin)
    first = await PLUGIN.send(config, make_message(), transport, now=NOON)
    assert isinstance(first, Delivered)
    assert first.thread == "1"

    for root in (first.thread, "77"):
        outcome = await PLUGIN.send(config, make_message(thread=Thread(root=root)), transport, now=NOON)
        assert isinstance(outcome, Delivered)
        assert outcome.thread == root

    replies = [message.get("reply_parameters", {}).get("message_id") for message in bot.messages]
    assert replies == [None, 1, 77]


def test_the_name_of_another_providers_message_is_no_thread() -> None:
    message = make_message(thread=Thread(root="C0123456789/1503435956.000247"))

    assert "reply_parameters" not in json.loads(PLUGIN.render(configured(), message, NOON).body)


def test_without_a_topic_none_is_named() -> None:
    assert "message_thread_id" not in json.loads(PLUGIN.render(configured(), make_message(), NOON).body)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("<b>bold</b> & co", "&lt;b&gt;bold&lt;/b&gt; &amp; co"),
        ("@channel, ask @anna", "\uff20channel, ask \uff20anna"),
        ("anna@example.org", "anna@example.org"),
        ("two\nlines\x00\u202e", "two lines"),
        ("&lt;", "&amp;lt;"),
        ("警报 😀", "警报 😀"),
    ],
)
def test_a_label_is_shown_as_it_stands_and_mentions_nobody(value: str, expected: str) -> None:
    assert f"<b>note:</b> {expected}\n" in text_of(make_alert(note=value, zone="z"))


def test_an_address_cannot_leave_its_attribute() -> None:
    text = text_of(make_alert(generator_url='http://prom.example/?a="><b>x&c=1'))

    assert '<a href="http://prom.example/?a=&quot;&gt;&lt;b&gt;x&amp;c=1">Source</a>' in text


@pytest.mark.parametrize("filler", ["x", "告", "\n", "<", "&", "@", '"', "\x00", "😀", "\u202e", "\ud800"])
async def test_every_message_is_taken_and_names_every_alert(
    filler: str, bot: TelegramBot, transport: Transport
) -> None:
    outcome = await PLUGIN.send(configured(base_url=bot.origin), make_hostile(MAX_ALERTS, filler), transport, now=NOON)

    assert isinstance(outcome, Delivered)
    seen = shown(bot.messages[0]["text"]) or ""
    assert all(f"Alert{number:03}" in seen for number in range(MAX_ALERTS))


def body(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


TOO_MANY = body(
    ok=False, error_code=429, description="Too Many Requests: retry after 34", parameters={"retry_after": 34}
)
NO_PAUSE = body(ok=False, error_code=429, description="Too Many Requests")
PARSE = body(ok=False, error_code=400, description="Bad Request: can't parse entities")
BLOCKED = body(ok=False, error_code=403, description="Forbidden: bot was blocked by the user")
MOVED = body(
    ok=False,
    error_code=400,
    description="Bad Request: group chat was upgraded to a supergroup chat",
    parameters={"migrate_to_chat_id": -100777},
)
REPLIES: list[tuple[int, bytes, Outcome]] = [
    (
        429,
        TOO_MANY,
        RetryAfter(after=timedelta(seconds=34), code="http.429", text=TOO_MANY.decode(), pause_channel=True),
    ),
    (429, NO_PAUSE, RetryAfter(code="http.429", text=NO_PAUSE.decode())),
    (
        200,
        TOO_MANY,
        RetryAfter(after=timedelta(seconds=34), code="http.429", text=TOO_MANY.decode(), pause_channel=True),
    ),
    (400, PARSE, Refused(code="http.400", text=PARSE.decode())),
    (403, BLOCKED, Refused(code="http.403", text=BLOCKED.decode())),
    (400, MOVED, Refused(code="http.400", text="the group has become a supergroup: set chat_id to -100777")),
    (401, body(ok=False, error_code=401), Refused(code="http.401", text='{"ok": false, "error_code": 401}')),
    (404, b"", Refused(code="http.404", text="HTTP status 404")),
    (502, b"<html>", RetryAfter(code="http.502", text="<html>")),
    (200, b"", Ambiguous(code="http.200", text="the answer does not say ok: ")),
    (200, b"<html>", Ambiguous(code="http.200", text="the answer does not say ok: <html>")),
    (200, b'{"ok":"true"}', Ambiguous(code="http.200", text='the answer does not say ok: {"ok":"true"}')),
]


@pytest.mark.parametrize(("status", "answer", "outcome"), REPLIES)
def test_the_answer_decides(status: int, answer: bytes, outcome: Outcome) -> None:
    assert PLUGIN.accept(status, {}, answer) == outcome


async def test_a_message_is_posted_once(bot: TelegramBot, transport: Transport) -> None:
    outcome = await PLUGIN.send(configured(base_url=bot.origin), make_message(), transport, now=NOON)

    assert isinstance(outcome, Delivered)
    assert outcome.message_id == "1"
    assert [message["text"] for message in bot.messages] == [FIRING]


async def test_a_pause_that_the_bot_asks_for_is_kept(bot: TelegramBot, transport: Transport) -> None:
    bot.next.append((429, json.loads(TOO_MANY)))

    outcome = await PLUGIN.send(configured(base_url=bot.origin), make_message(), transport, now=NOON)

    assert isinstance(outcome, RetryAfter)
    assert (outcome.after, outcome.pause_channel) == (timedelta(seconds=34), True)


async def test_a_wrong_token_is_final_and_never_told(bot: TelegramBot, transport: Transport) -> None:
    config = configured(base_url=bot.origin, bot_token="1:CANARY")

    outcome = await PLUGIN.send(config, make_message(), transport, now=NOON)

    assert isinstance(outcome, Refused)
    assert outcome.code == "http.401"
    assert "CANARY" not in outcome.text


@pytest.mark.parametrize("chat_id", [CHAT, str(CHAT), "@alerts_of_sre", 42])
def test_a_chat_has_a_number_or_a_public_name(chat_id: int | str) -> None:
    assert configured(chat_id=chat_id).chat_id == chat_id


@pytest.mark.parametrize(
    ("settings", "loc"),
    [
        ({"bot_token": "CANARY"}, ("bot_token",)),
        ({"bot_token": "1:CANARY/../x"}, ("bot_token",)),
        ({"bot_token": ""}, ("bot_token",)),
        ({"thread_id": 0}, ("thread_id",)),
        ({"thread_id": "7"}, ("thread_id",)),
        ({"base_url": "api.telegram.org"}, ("base_url",)),
        ({"parse_mode": "HTML"}, ("parse_mode",)),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, Any], loc: tuple[str, ...]) -> None:
    with pytest.raises(Invalid) as caught:
        configured(**settings)

    assert [detail.loc for detail in caught.value.details] == [loc]
    assert "CANARY" not in caught.value.message


@pytest.mark.parametrize("chat_id", [None, True, 1.5, 10**30, "", "alerts", "@a b"])
def test_anything_else_is_no_chat(chat_id: object) -> None:
    with pytest.raises(Invalid, match="chat_id"):
        configured(chat_id=chat_id)


def test_the_token_is_never_read_back() -> None:
    assert PLUGIN.mask_config({"bot_token": "CANARY", "chat_id": 1}) == {"bot_token": "***", "chat_id": 1}
    assert "CANARY" not in repr(configured(bot_token="1:CANARY"))


async def test_a_health_check_posts_nothing(bot: TelegramBot, transport: Transport) -> None:
    assert (await PLUGIN.health_check(configured(base_url=bot.origin), transport)).healthy
    assert bot.attempts == 0


async def test_a_health_check_knows_bad_credentials(bot: TelegramBot, transport: Transport) -> None:
    health = await PLUGIN.health_check(configured(base_url=bot.origin, bot_token="1:CANARY"), transport)

    assert not health.healthy
    assert "CANARY" not in health.text
