import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from alertagent.kernel.errors import Invalid
from alertagent.kernel.message import PageLinks
from alertagent.plugins.addresses import AddressGuard
from alertagent.plugins.notifiers.feishu import MAX_BYTES, Feishu, FeishuConfig, sign
from alertagent.plugins.outcome import Ambiguous, Delivered, Outcome, Refused, RetryAfter
from alertagent.plugins.transport import Transport
from tests.support.chats import FeishuBot
from tests.support.messages import NOON, make_alert, make_chinese
from tests.support.names import Names

PLUGIN = Feishu()
URL = "https://open.feishu.cn/open-apis/bot/v2/hook/CANARY"
SECRET = "demo"

CARD = {
    "config": {"wide_screen_mode": True},
    "header": {"template": "red", "title": {"tag": "plain_text", "content": "【告警】HighCPU"}},
    "elements": [
        {
            "tag": "markdown",
            "content": "- **级别**：严重\n- **时间**：2026-11-22 22:40:00 (UTC+8)\n\n"
            "**内容**\n\nCPU usage is over 90%\n\n"
            "**标签**\n\n- alertname: HighCPU\n- instance: a:9100\n- severity: critical",
        },
        {"tag": "hr"},
        {
            "tag": "action",
            "actions": [
                {
                    "tag": "button",
                    "text": {"tag": "plain_text", "content": "查看告警"},
                    "url": "https://alertagent.example",
                    "type": "primary",
                },
                {
                    "tag": "button",
                    "text": {"tag": "plain_text", "content": "查看图表"},
                    "url": "http://prom.example/graph?g0.expr=up",
                    "type": "default",
                },
            ],
        },
    ],
}

REPLIES: dict[int, type[Outcome]] = {
    19021: Refused,
    19022: Refused,
    19024: Refused,
    19001: Refused,
    9499: Refused,
    11232: RetryAfter,
}


@pytest.fixture
async def bot() -> AsyncIterator[FeishuBot]:
    async with FeishuBot(secret=SECRET) as bot:
        yield bot


def configured(**settings: Any) -> FeishuConfig:
    return PLUGIN.validate_config({"webhook_url": URL, **settings})


def body_of(config: FeishuConfig, *alerts: Any, **fields: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(PLUGIN.render(config, make_chinese(*alerts, **fields), NOON).body)
    return body


def test_the_signature_is_the_documented_one() -> None:
    assert sign("demo", 1599360473) == "l1N0gAcBjdwBvGm1xMjOF0XSyaLRpR7tuO5dHfhAYc8="


def test_the_signature_stands_in_the_body_with_whole_seconds() -> None:
    moment = datetime.fromtimestamp(1599360473.9, UTC)

    body = json.loads(PLUGIN.render(configured(secret="demo"), make_chinese(), moment).body)

    assert body["timestamp"] == "1599360473"
    assert body["sign"] == "l1N0gAcBjdwBvGm1xMjOF0XSyaLRpR7tuO5dHfhAYc8="


@pytest.mark.parametrize("secret", [None, ""])
def test_without_a_secret_nothing_is_signed(secret: str | None) -> None:
    assert set(body_of(configured(secret=secret))) == {"msg_type", "card"}


def test_an_alert_is_a_card() -> None:
    request = PLUGIN.render(configured(), make_chinese(), NOON)

    assert request.url == URL
    assert request.headers == {"Content-Type": "application/json; charset=utf-8"}
    assert json.loads(request.body) == {"msg_type": "interactive", "card": CARD}


@pytest.mark.parametrize(
    ("status", "severity", "colour"),
    [
        ("firing", "critical", "red"),
        ("firing", "error", "red"),
        ("firing", "warning", "orange"),
        ("firing", "info", "blue"),
        ("firing", "", "red"),
        ("firing", "whatever", "red"),
        ("resolved", "critical", "green"),
    ],
)
def test_the_colour_says_how_bad_it_is(status: str, severity: str, colour: str) -> None:
    alert = make_alert(status=status, severity=severity, ends_at=NOON if status == "resolved" else None)

    assert body_of(configured(), alert)["card"]["header"]["template"] == colour


def test_the_worst_alert_that_fires_gives_the_colour() -> None:
    alerts = [
        make_alert("A", severity="info"),
        make_alert("B", severity="warning"),
        make_alert("C", severity="critical", status="resolved", ends_at=NOON),
    ]

    assert body_of(configured(), *alerts)["card"]["header"]["template"] == "orange"


@pytest.mark.parametrize("url", ["", "javascript:alert(1)", "ftp://a.example/", "https://a.example/" + "x" * 600])
def test_a_link_that_is_none_or_too_long_is_no_button(url: str) -> None:
    alert = make_alert(generator_url=url, annotations={"runbook_url": url})

    card = body_of(configured(), alert, links=PageLinks(alert=url))["card"]

    assert [element["tag"] for element in card["elements"]] == ["markdown"]


@pytest.mark.parametrize(
    "hostile", ["<at id=all></at>", "[x](http://evil.test)", "@所有人 **b**\n---\n# h", "\u202etxt"]
)
def test_hostile_labels_mention_nobody_and_link_nowhere(hostile: str) -> None:
    alerts = [make_alert(hostile, severity=hostile, number=str(number)) for number in range(2)]

    card = body_of(configured(), *alerts, content=hostile, title=hostile)["card"]

    text = card["elements"][0]["content"]
    assert card["header"]["title"]["tag"] == "plain_text"
    assert not any(mark in text for mark in ("<at", "](", "@", "**b", "\n---", "\n# h", "\u202e"))


@pytest.mark.parametrize("filler", ["x", "告", "\n", "\\", '"', "\x00", "😀", "@", "_", "<"])
def test_no_request_exceeds_the_limit_and_every_alert_is_named(filler: str) -> None:
    alerts = [make_alert(f"Alert{number:02}", junk=f"{number}{filler * 5_000}") for number in range(50)]
    message = make_chinese(*alerts, content=filler * 30_000, title=filler * 5_000)

    body = PLUGIN.render(configured(secret="s"), message, NOON).body

    text = json.loads(body)["card"]["elements"][0]["content"]
    assert len(body) <= MAX_BYTES
    assert all(f"Alert{number:02}" in text for number in range(50))


def test_what_is_cut_says_so() -> None:
    alert = make_alert(annotations={f"note{number:02}": "x" * 5_000 for number in range(50)})

    body = PLUGIN.render(configured(), make_chinese(alert), NOON).body

    assert len(body) <= MAX_BYTES
    assert json.loads(body)["card"]["elements"][0]["content"].endswith("…（内容过长，已截断）")


@pytest.mark.parametrize(("code", "kind"), REPLIES.items())
def test_a_code_inside_a_200_decides(code: int, kind: type[Outcome]) -> None:
    outcome = PLUGIN.accept(200, {}, json.dumps(FeishuBot.ERRORS[code]).encode())

    assert isinstance(outcome, kind)
    assert outcome.code == str(code)


def test_every_known_error_is_in_the_table() -> None:
    assert set(REPLIES) == set(FeishuBot.ERRORS)


def test_too_many_messages_do_not_close_the_bot() -> None:
    outcome = PLUGIN.accept(200, {}, json.dumps(FeishuBot.ERRORS[11232]).encode())

    assert isinstance(outcome, RetryAfter)
    assert (outcome.after, outcome.pause_channel) == (None, False)


@pytest.mark.parametrize(
    "body",
    [
        b'{"code":0,"msg":"success","data":{}}',
        b'{"StatusCode":0,"StatusMessage":"success"}',
        b'{"Extra":null,"StatusCode":0,"StatusMessage":"success","code":0,"data":{},"msg":"success"}',
    ],
)
def test_new_and_old_bots_say_zero(body: bytes) -> None:
    assert PLUGIN.accept(200, {}, body) == Delivered(code="0", text=body.decode())


@pytest.mark.parametrize("body", [b"", b"ok", b"<html>", b"{}", b"[]", b'{"code":"0"}', b'{"StatusMessage":"success"}'])
def test_a_200_without_a_code_is_ambiguous(body: bytes) -> None:
    assert isinstance(PLUGIN.accept(200, {}, body), Ambiguous)


@pytest.mark.parametrize(("status", "kind"), [(302, Refused), (400, Refused), (429, RetryAfter), (502, RetryAfter)])
def test_any_other_status_decides_by_itself(status: int, kind: type[Outcome]) -> None:
    assert isinstance(PLUGIN.accept(status, {}, b'{"code":0}'), kind)


async def test_the_bot_takes_a_signed_card(bot: FeishuBot, transport: Transport) -> None:
    config = configured(webhook_url=bot.url, secret=SECRET)

    outcome = await PLUGIN.send(config, make_chinese(), transport, now=datetime.now(UTC))

    assert isinstance(outcome, Delivered)
    assert [post["card"] for post in bot.posts] == [CARD]


@pytest.mark.parametrize(("secret", "late"), [("wrong", 0), (None, 0), (SECRET, 61)])
async def test_a_wrong_signature_or_clock_is_final(
    secret: str | None, late: int, bot: FeishuBot, transport: Transport
) -> None:
    config = configured(webhook_url=bot.url, secret=secret)

    outcome = await PLUGIN.send(config, make_chinese(), transport, now=datetime.now(UTC) - timedelta(minutes=late))

    assert isinstance(outcome, Refused)
    assert outcome.code == "19021"
    assert bot.posts == []


async def test_of_six_messages_in_a_second_the_last_is_tried_again(transport: Transport) -> None:
    async with FeishuBot(clock=NOON.timestamp) as bot:
        config = configured(webhook_url=bot.url)
        outcomes = [await PLUGIN.send(config, make_chinese(), transport, now=NOON) for _ in range(6)]

    assert [type(outcome) for outcome in outcomes] == [*[Delivered] * 5, RetryAfter]


async def test_every_message_has_the_word_that_the_page_recommends(transport: Transport) -> None:
    async with FeishuBot(keyword="级别") as bot:
        config = configured(webhook_url=bot.url)
        resolved = make_chinese(make_alert(status="resolved", ends_at=NOON))
        outcomes = [await PLUGIN.send(config, message, transport, now=NOON) for message in (make_chinese(), resolved)]

    assert [type(outcome) for outcome in outcomes] == [Delivered, Delivered]


async def test_a_health_check_posts_nothing(bot: FeishuBot, transport: Transport) -> None:
    health = await PLUGIN.health_check(configured(webhook_url=bot.url), transport)

    assert health.healthy
    assert bot.attempts == 0


@pytest.mark.parametrize(
    ("settings", "loc"),
    [
        ({"webhook_url": "open.feishu.cn/CANARY"}, ("webhook_url",)),
        ({"webhook_url": None}, ("webhook_url",)),
        ({"secret": 1}, ("secret",)),
        ({"token": "CANARY"}, ("token",)),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, Any], loc: tuple[str | int, ...]) -> None:
    with pytest.raises(Invalid) as caught:
        configured(**settings)

    assert [detail.loc for detail in caught.value.details] == [loc]
    assert "CANARY" not in caught.value.message


def test_the_address_and_the_secret_are_never_read_back() -> None:
    assert PLUGIN.mask_config({"webhook_url": URL, "secret": "CANARY"}) == {"webhook_url": "***", "secret": "***"}
    assert "CANARY" not in repr(configured(secret="CANARY"))


async def test_only_feishus_and_larks_hosts_may_be_public() -> None:
    names = Names(open_feishu_cn=["8.8.8.8"], open_larksuite_com=["8.8.8.8"], relay_test=["8.8.8.8"])
    guard = AddressGuard(["127.0.0.0/8"], resolver=names)

    await PLUGIN.check_config(configured(), guard)
    await PLUGIN.check_config(configured(webhook_url="https://open.larksuite.com/open-apis/bot/v2/hook/x"), guard)
    await PLUGIN.check_config(configured(webhook_url="http://127.0.0.1:8080/open-apis/bot/v2/hook/x"), guard)
    with pytest.raises(Invalid, match="not the provider's host") as caught:
        await PLUGIN.check_config(configured(webhook_url="http://relay.test/CANARY"), guard)

    assert caught.value.details[0].loc == ("webhook_url",)
    assert "CANARY" not in caught.value.message
