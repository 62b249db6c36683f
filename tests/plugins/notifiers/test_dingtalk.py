import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from alertagent.kernel.errors import Invalid
from alertagent.plugins.addresses import AddressGuard
from alertagent.plugins.notifiers.dingtalk import MAX_BYTES, DingTalk, DingTalkConfig, sign
from alertagent.plugins.outcome import Ambiguous, Delivered, Outcome, Refused, RetryAfter
from alertagent.plugins.transport import Transport
from tests.support.dingtalk import ERRORS, DingTalkRobot
from tests.support.messages import NOON, make_alert, make_chinese
from tests.support.names import Names

PLUGIN = DingTalk()
URL = "https://oapi.dingtalk.com/robot/send?access_token=CANARY"


def configured(**settings: Any) -> DingTalkConfig:
    return PLUGIN.validate_config({"webhook_url": URL, **settings})


def body_of(config: DingTalkConfig, **fields: Any) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(PLUGIN.render(config, make_chinese(**fields), NOON).body)
    return body


def test_the_signature_is_the_documented_one() -> None:
    assert sign("this is secret", 1577262236757) == "hmPWwU+7lVdm3ZZz0r9tSfx0L4Q26jWOZr9+Gs6EZQM="


def test_the_signature_goes_escaped_into_the_query() -> None:
    moment = datetime.fromtimestamp(1577262236, UTC) + timedelta(milliseconds=757)

    request = PLUGIN.render(configured(secret="this is secret"), make_chinese(), moment)

    assert request.url == (f"{URL}&timestamp=1577262236757&sign=hmPWwU%2B7lVdm3ZZz0r9tSfx0L4Q26jWOZr9%2BGs6EZQM%3D")


def test_a_signature_pasted_with_the_url_is_replaced() -> None:
    config = configured(webhook_url=f"{URL}&timestamp=1&sign=old", secret="s")

    query = parse_qs(urlsplit(PLUGIN.render(config, make_chinese(), NOON).url).query)

    assert query["timestamp"] == [str(int(NOON.timestamp() * 1000))]
    assert len(query["sign"]) == 1
    assert query["access_token"] == ["CANARY"]


@pytest.mark.parametrize("secret", [None, ""])
def test_without_a_secret_nothing_is_signed(secret: str | None) -> None:
    assert PLUGIN.render(configured(secret=secret), make_chinese(), NOON).url == URL


def test_those_to_mention_stand_in_the_text_and_beside_it() -> None:
    body = body_of(configured(at_mobiles=["13800000000", "+86-13900000000"], at_all=True))

    assert body["at"] == {"atMobiles": ["13800000000", "+86-13900000000"], "isAtAll": True}
    assert body["markdown"]["text"].endswith("\n\n@13800000000 @+86-13900000000")


@pytest.mark.parametrize(("content", "times"), [("all is lost", 1), ("运维: all is lost", 1)])
def test_the_keyword_is_added_where_it_is_absent(content: str, times: int) -> None:
    text: str = body_of(configured(keyword="运维"), content=content)["markdown"]["text"]

    assert text.count("运维") == times


def test_what_a_phone_shows_first_is_the_title() -> None:
    assert body_of(configured())["markdown"]["title"] == "【告警】HighCPU"


@pytest.mark.parametrize("filler", ["x", "告", "\n", "\\", '"', "\x00", "😀", "@", "_"])
def test_no_request_exceeds_the_limit_and_every_alert_is_named(filler: str) -> None:
    alerts = [make_alert(f"Alert{number:02}", junk=f"{number}{filler * 5_000}") for number in range(50)]
    config = configured(
        secret="s", at_mobiles=["+8613800000000"] * 50, keyword=filler.strip("\n\x00") * 100 or "keyword"
    )
    message = make_chinese(*alerts, content=filler * 30_000, title=filler * 5_000)

    body = PLUGIN.render(config, message, NOON).body

    text = json.loads(body)["markdown"]["text"]
    assert len(body) <= MAX_BYTES
    assert all(f"Alert{number:02}" in text for number in range(50))
    assert text.endswith("@+8613800000000")


def test_of_a_thousand_alerts_the_message_says_how_many_are_not_named() -> None:
    message = make_chinese(*(make_alert(f"Alert{number:04}", instance=f"host-{number}") for number in range(1000)))

    body = PLUGIN.render(configured(), message, NOON).body

    text = json.loads(body)["markdown"]["text"]
    named = text.count("- 【告警】Alert")
    assert len(body) <= MAX_BYTES
    assert named >= 50
    assert f"还有 {1000 - named} 条告警未列出，[查看全部](https://alertagent.example)" in text


REPLIES: dict[int, Outcome] = {
    -1: RetryAfter(code="-1", text=json.dumps(ERRORS[-1], ensure_ascii=False)),
    130101: RetryAfter(after=timedelta(minutes=10), code="130101", text=json.dumps(ERRORS[130101]), pause_channel=True),
    90030: RetryAfter(code="90030", text=json.dumps(ERRORS[90030])),
    310000: Refused(code="310000", text=json.dumps(ERRORS[310000])),
    300001: Refused(code="300001", text=json.dumps(ERRORS[300001])),
    300005: Refused(code="300005", text=json.dumps(ERRORS[300005])),
    40035: Refused(code="40035", text=json.dumps(ERRORS[40035], ensure_ascii=False)),
    460101: RetryAfter(code="460101", text=json.dumps(ERRORS[460101])),
}


@pytest.mark.parametrize(("errcode", "outcome"), REPLIES.items())
def test_an_errcode_inside_a_200_decides(errcode: int, outcome: Outcome) -> None:
    body = json.dumps(ERRORS[errcode], ensure_ascii=False).encode()

    assert PLUGIN.accept(200, {}, body) == outcome


def test_errcode_zero_is_delivery() -> None:
    assert PLUGIN.accept(200, {}, b'{"errcode":0,"errmsg":"ok"}') == Delivered(
        code="0", text='{"errcode":0,"errmsg":"ok"}'
    )


@pytest.mark.parametrize(
    "body",
    [b"", b"ok", b"<html>", b"{}", b"[]", b"null", b"0", b'{"errcode":null}', b'{"errcode":false}', b'{"errcode":"0"}'],
)
def test_a_200_without_an_errcode_is_ambiguous(body: bytes) -> None:
    assert isinstance(PLUGIN.accept(200, {}, body), Ambiguous)


@pytest.mark.parametrize(
    ("status", "kind"), [(302, Refused), (400, Refused), (403, Refused), (429, RetryAfter), (502, RetryAfter)]
)
def test_any_other_status_decides_by_itself(status: int, kind: type[Outcome]) -> None:
    assert isinstance(PLUGIN.accept(status, {}, b'{"errcode":0}'), kind)


async def test_the_robot_gets_a_signed_message(robot: DingTalkRobot, transport: Transport) -> None:
    """Many signatures, since an unescaped one fails only for every other timestamp."""
    config = configured(webhook_url=robot.url, secret=robot.secret)
    now = datetime.now(UTC)

    for number in range(20):
        outcome = await PLUGIN.send(config, make_chinese(), transport, now=now + timedelta(milliseconds=number))
        assert isinstance(outcome, Delivered)

    assert len(await robot.wait_for(20)) == 20
    assert robot.messages[0].startswith("## 【告警】HighCPU\n\n- **级别**：严重\n")


async def test_a_wrong_secret_is_final(robot: DingTalkRobot, transport: Transport) -> None:
    outcome = await PLUGIN.send(
        configured(webhook_url=robot.url, secret="wrong"), make_chinese(), transport, now=datetime.now(UTC)
    )

    assert isinstance(outcome, Refused)
    assert outcome.code == "310000"
    assert robot.messages == []


async def test_a_clock_that_is_an_hour_off_is_told_as_a_wrong_signature(
    robot: DingTalkRobot, transport: Transport
) -> None:
    config = configured(webhook_url=robot.url, secret=robot.secret)

    outcome = await PLUGIN.send(config, make_chinese(), transport, now=datetime.now(UTC) - timedelta(minutes=61))

    assert isinstance(outcome, Refused)


async def test_a_robot_with_a_keyword_takes_every_message(transport: Transport) -> None:
    async with DingTalkRobot(keyword="监控", secret=None) as robot:
        bare = await PLUGIN.send(configured(webhook_url=robot.url), make_chinese(), transport, now=NOON)
        config = configured(webhook_url=robot.url, keyword="监控")
        resolved = make_chinese(make_alert(status="resolved", ends_at=NOON))
        kept = await PLUGIN.send(config, resolved, transport, now=NOON)

    assert isinstance(bare, Refused)
    assert isinstance(kept, Delivered)


async def test_the_twenty_first_message_in_a_minute_pauses_the_channel(transport: Transport) -> None:
    moment = NOON.timestamp()
    async with DingTalkRobot(secret=None, clock=lambda: moment) as robot:
        config = configured(webhook_url=robot.url)
        outcomes = [await PLUGIN.send(config, make_chinese(), transport, now=NOON) for _ in range(21)]
        moment += 599
        blocked = await PLUGIN.send(config, make_chinese(), transport, now=NOON)
        moment += 2
        again = await PLUGIN.send(config, make_chinese(), transport, now=NOON)

    assert all(isinstance(outcome, Delivered) for outcome in outcomes[:20])
    for outcome in (outcomes[20], blocked):
        assert isinstance(outcome, RetryAfter)
        assert (outcome.after, outcome.pause_channel) == (timedelta(minutes=10), True)
    assert isinstance(again, Delivered)


@pytest.mark.parametrize("errcode", REPLIES)
async def test_no_refusal_of_the_robot_counts_as_delivered(
    errcode: int, robot: DingTalkRobot, transport: Transport
) -> None:
    robot.refuse_next(errcode)
    config = configured(webhook_url=robot.url, secret=robot.secret)

    outcome = await PLUGIN.send(config, make_chinese(), transport, now=datetime.now(UTC))

    assert type(outcome) is type(REPLIES[errcode])
    assert (robot.attempts, robot.messages) == (1, [])


async def test_a_gateways_page_is_ambiguous(robot: DingTalkRobot, transport: Transport) -> None:
    robot.answer_next(status=200, body=b"<html>please log in</html>")
    config = configured(webhook_url=robot.url, secret=robot.secret)

    assert isinstance(await PLUGIN.send(config, make_chinese(), transport, now=datetime.now(UTC)), Ambiguous)


async def test_a_health_check_posts_nothing(robot: DingTalkRobot, transport: Transport) -> None:
    health = await PLUGIN.health_check(configured(webhook_url=robot.url), transport)

    assert health.healthy
    assert robot.attempts == 0


@pytest.mark.parametrize(
    ("settings", "loc"),
    [
        ({"webhook_url": "oapi.dingtalk.com/CANARY"}, ("webhook_url",)),
        ({"webhook_url": None}, ("webhook_url",)),
        ({"secret": 1}, ("secret",)),
        ({"at_mobiles": ["13800000000", "所有人"]}, ("at_mobiles", 1)),
        ({"at_mobiles": "13800000000"}, ("at_mobiles",)),
        ({"at_mobiles": ["13800000000"] * 51}, ("at_mobiles",)),
        ({"at_all": "yes"}, ("at_all",)),
        ({"keyword": ""}, ("keyword",)),
        ({"keyword": "k" * 101}, ("keyword",)),
        ({"token": "CANARY"}, ("token",)),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, Any], loc: tuple[str | int, ...]) -> None:
    with pytest.raises(Invalid) as caught:
        configured(**settings)

    assert [detail.loc for detail in caught.value.details] == [loc]
    assert "CANARY" not in caught.value.message


def test_the_token_and_the_secret_are_never_read_back() -> None:
    assert PLUGIN.mask_config({"webhook_url": URL, "secret": "CANARY", "at_all": True}) == {
        "webhook_url": "***",
        "secret": "***",
        "at_all": True,
    }
    assert "CANARY" not in repr(configured(secret="CANARY"))


async def test_only_the_vendors_host_may_be_public() -> None:
    names = Names(oapi_dingtalk_com=["8.8.8.8"], relay_test=["8.8.8.8"])
    names.addresses["stand-in.test"] = ["127.0.0.1"]
    guard = AddressGuard(["127.0.0.0/8"], resolver=names)

    await PLUGIN.check_config(configured(), guard)
    await PLUGIN.check_config(configured(webhook_url="http://stand-in.test/robot/send?access_token=t"), guard)
    with pytest.raises(Invalid, match="not the provider's host") as caught:
        await PLUGIN.check_config(configured(webhook_url="http://relay.test/robot/send?access_token=CANARY"), guard)

    assert caught.value.details[0].loc == ("webhook_url",)
    assert "CANARY" not in caught.value.message
