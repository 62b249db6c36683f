import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from alertagent.kernel.errors import Invalid
from alertagent.plugins.addresses import AddressGuard
from alertagent.plugins.notifiers.wecom import MAX_ALERTS, MAX_MARKDOWN, MAX_TEXT, WeCom, WeComConfig
from alertagent.plugins.outcome import Ambiguous, Delivered, Outcome, Refused, RetryAfter
from alertagent.plugins.transport import Transport
from tests.support.chats import WeComRobot
from tests.support.messages import NOON, make_alert, make_chinese
from tests.support.names import Names

PLUGIN = WeCom()
URL = "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=CANARY"

MARKDOWN = """\
## <font color="warning">【告警】HighCPU</font>

- **级别**：严重
- **时间**：2026-11-22 22:40:00 (UTC+8)

- [查看告警](https://alertagent.example)

**内容**

CPU usage is over 90%

**标签**

- alertname: HighCPU
- instance: a:9100
- severity: critical"""

TEXT = """\
【告警】HighCPU

- 级别：严重
- 时间：2026-11-22 22:40:00 (UTC+8)

- 查看告警 https://alertagent.example

内容

CPU usage is over 90%

标签

- alertname: HighCPU
- instance: a:9100
- severity: critical"""

REPLIES: dict[int, type[Outcome]] = {
    93000: Refused,
    44004: Refused,
    40058: Refused,
    45009: RetryAfter,
    -1: RetryAfter,
}

FILLERS = ["x", "告", "\n", "\\", '"', "\x00", "😀", "@", "_", "<"]


@pytest.fixture
async def robot() -> AsyncIterator[WeComRobot]:
    async with WeComRobot() as robot:
        yield robot


def configured(**settings: Any) -> WeComConfig:
    return PLUGIN.validate_config({"webhook_url": URL, **settings})


def body_of(config: WeComConfig, *alerts: Any, **fields: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(PLUGIN.render(config, make_chinese(*alerts, **fields), NOON).body)
    return body


def test_an_alert_is_markdown() -> None:
    request = PLUGIN.render(configured(), make_chinese(), NOON)

    assert request.url == URL
    assert request.headers == {"Content-Type": "application/json; charset=utf-8"}
    assert json.loads(request.body) == {"msgtype": "markdown", "markdown": {"content": MARKDOWN}}


def test_what_is_over_is_green() -> None:
    resolved = make_alert(status="resolved", ends_at=NOON)

    content = body_of(configured(), resolved)["markdown"]["content"]

    assert content.startswith('## <font color="info">【恢复】HighCPU</font>\n')


def test_members_are_mentioned_within_the_markdown() -> None:
    body = body_of(configured(mentioned_list=["wangqing", "li.si@corp"]))

    assert body == {"msgtype": "markdown", "markdown": {"content": f"{MARKDOWN}\n\n<@wangqing><@li.si@corp>"}}


@pytest.mark.parametrize(
    "mentions",
    [
        {"mentioned_list": ["wangqing", "@all"]},
        {"mentioned_mobile_list": ["13800001111"]},
        {"mentioned_list": ["wangqing"], "mentioned_mobile_list": ["13800001111", "@all"]},
    ],
)
def test_whom_markdown_cannot_mention_makes_it_a_text(mentions: dict[str, list[str]]) -> None:
    expected = {"content": TEXT, "mentioned_list": [], "mentioned_mobile_list": [], **mentions}

    assert body_of(configured(**mentions)) == {"msgtype": "text", "text": expected}


@pytest.mark.parametrize("settings", [{}, {"mentioned_mobile_list": ["13800001111"]}])
@pytest.mark.parametrize("hostile", ["<@wangqing>", "@all", "[x](http://evil.test)", "</font>\n# h", "\u202etxt"])
def test_hostile_labels_mention_nobody_and_link_nowhere(hostile: str, settings: dict[str, Any]) -> None:
    alerts = [make_alert(hostile, severity=hostile, number=str(number)) for number in range(2)]

    body = body_of(configured(**settings), *alerts, content=hostile, title=hostile)

    content = body[body["msgtype"]]["content"].replace("[查看告警](https://alertagent.example)", "")
    assert not any(mark in content for mark in ("@", "](", "\n# h", "\u202e"))
    assert content.count("</font>") == (body["msgtype"] == "markdown")


@pytest.mark.parametrize("filler", FILLERS)
def test_no_markdown_exceeds_the_limit_and_every_alert_is_named(filler: str) -> None:
    members = [f"member{number:02}{'x' * 56}" for number in range(20)]
    alerts = [make_alert(f"Alert{number:02}", junk=f"{number}{filler * 5_000}") for number in range(MAX_ALERTS)]

    body = body_of(
        configured(mentioned_list=members),
        *alerts,
        content=filler * 30_000,
        title=filler * 5_000,
        severity=filler * 5_000,
    )

    content = body["markdown"]["content"]
    assert len(content.encode()) <= MAX_MARKDOWN
    assert all(f"Alert{number:02}" in content for number in range(MAX_ALERTS))
    assert content.endswith("".join(f"<@{member}>" for member in members))


@pytest.mark.parametrize("filler", FILLERS)
def test_no_text_exceeds_the_limit_and_every_alert_is_named(filler: str) -> None:
    alerts = [make_alert(f"Alert{number:02}", junk=f"{number}{filler * 5_000}") for number in range(MAX_ALERTS)]

    body = body_of(
        configured(mentioned_list=["@all"]),
        *alerts,
        content=filler * 30_000,
        title=filler * 5_000,
        severity=filler * 5_000,
    )

    content = body["text"]["content"]
    assert len(content.encode()) <= MAX_TEXT
    assert all(f"Alert{number:02}" in content for number in range(MAX_ALERTS))


def test_what_is_cut_ends_with_a_whole_character_and_says_so() -> None:
    alert = make_alert(annotations={f"note{number:02}": "告警" * 5_000 for number in range(50)})

    content = body_of(configured(), alert)["markdown"]["content"]

    assert MAX_MARKDOWN - 3 <= len(content.encode()) <= MAX_MARKDOWN
    assert content.endswith("…（内容过长，已截断）")


@pytest.mark.parametrize(("errcode", "kind"), REPLIES.items())
def test_an_errcode_inside_a_200_decides(errcode: int, kind: type[Outcome]) -> None:
    outcome = PLUGIN.accept(200, {}, json.dumps(WeComRobot.ERRORS[errcode]).encode())

    assert isinstance(outcome, kind)
    assert outcome.code == str(errcode)


def test_every_known_error_is_in_the_table() -> None:
    assert set(REPLIES) == set(WeComRobot.ERRORS)


def test_too_many_messages_close_the_robot_for_a_minute() -> None:
    outcome = PLUGIN.accept(200, {}, json.dumps(WeComRobot.ERRORS[45009]).encode())

    assert isinstance(outcome, RetryAfter)
    assert (outcome.after, outcome.pause_channel) == (timedelta(minutes=1), True)


@pytest.mark.parametrize("body", [b"", b"ok", b"<html>", b"{}", b"[]", b'{"errcode":"0"}', b'{"errmsg":"ok"}'])
def test_a_200_without_an_errcode_is_ambiguous(body: bytes) -> None:
    assert isinstance(PLUGIN.accept(200, {}, body), Ambiguous)


@pytest.mark.parametrize(("status", "kind"), [(302, Refused), (404, Refused), (429, RetryAfter), (502, RetryAfter)])
def test_any_other_status_decides_by_itself(status: int, kind: type[Outcome]) -> None:
    assert isinstance(PLUGIN.accept(status, {}, b'{"errcode":0}'), kind)


@pytest.mark.parametrize("mentions", [{}, {"mentioned_list": ["wangqing"]}, {"mentioned_mobile_list": ["@all"]}])
async def test_the_robot_takes_the_message(
    mentions: dict[str, list[str]], robot: WeComRobot, transport: Transport
) -> None:
    config = configured(webhook_url=robot.url, **mentions)

    outcome = await PLUGIN.send(config, make_chinese(), transport, now=NOON)

    assert outcome == Delivered(code="0", text='{"errcode": 0, "errmsg": "ok"}')
    assert robot.posts == [body_of(config)]


async def test_a_wrong_key_is_final(robot: WeComRobot, transport: Transport) -> None:
    config = configured(webhook_url=f"{robot.url}x")

    outcome = await PLUGIN.send(config, make_chinese(), transport, now=NOON)

    assert isinstance(outcome, Refused)
    assert outcome.code == "93000"
    assert robot.posts == []


async def test_the_twenty_first_message_in_a_minute_pauses_the_channel(transport: Transport) -> None:
    moment = NOON.timestamp()
    async with WeComRobot(clock=lambda: moment) as robot:
        config = configured(webhook_url=robot.url)
        outcomes = [await PLUGIN.send(config, make_chinese(), transport, now=NOON) for _ in range(21)]
        moment += 61
        again = await PLUGIN.send(config, make_chinese(), transport, now=NOON)

    assert all(isinstance(outcome, Delivered) for outcome in outcomes[:20])
    assert isinstance(outcomes[20], RetryAfter)
    assert outcomes[20].pause_channel
    assert isinstance(again, Delivered)


async def test_a_health_check_posts_nothing(robot: WeComRobot, transport: Transport) -> None:
    health = await PLUGIN.health_check(configured(webhook_url=robot.url), transport)

    assert health.healthy
    assert robot.attempts == 0


@pytest.mark.parametrize(
    ("settings", "loc"),
    [
        ({"webhook_url": "qyapi.weixin.qq.com/CANARY"}, ("webhook_url",)),
        ({"webhook_url": None}, ("webhook_url",)),
        ({"mentioned_list": ["wangqing", "x><@all"]}, ("mentioned_list", 1)),
        ({"mentioned_list": ["a" * 65]}, ("mentioned_list", 0)),
        ({"mentioned_list": "wangqing"}, ("mentioned_list",)),
        ({"mentioned_list": ["a"] * 21}, ("mentioned_list",)),
        ({"mentioned_mobile_list": ["所有人"]}, ("mentioned_mobile_list", 0)),
        ({"secret": "CANARY"}, ("secret",)),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, Any], loc: tuple[str | int, ...]) -> None:
    with pytest.raises(Invalid) as caught:
        configured(**settings)

    assert [detail.loc for detail in caught.value.details] == [loc]
    assert "CANARY" not in caught.value.message


def test_the_key_is_never_read_back() -> None:
    assert PLUGIN.mask_config({"webhook_url": URL, "mentioned_list": ["a"]}) == {
        "webhook_url": "***",
        "mentioned_list": ["a"],
    }
    assert "CANARY" not in repr(configured())


async def test_only_the_vendors_host_may_be_public() -> None:
    names = Names(qyapi_weixin_qq_com=["8.8.8.8"], relay_test=["8.8.8.8"])
    guard = AddressGuard(["127.0.0.0/8"], resolver=names)

    await PLUGIN.check_config(configured(), guard)
    await PLUGIN.check_config(configured(webhook_url="http://127.0.0.1:8080/cgi-bin/webhook/send?key=k"), guard)
    with pytest.raises(Invalid, match="not the provider's host") as caught:
        await PLUGIN.check_config(configured(webhook_url="http://relay.test/CANARY"), guard)

    assert "CANARY" not in caught.value.message
