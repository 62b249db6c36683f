import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from alertagent.kernel.errors import Invalid
from alertagent.plugins.addresses import AddressGuard
from alertagent.plugins.notifiers.slack import MAX_ALERTS, MAX_HEADER, MAX_SECTION, Slack, SlackConfig, escaped
from alertagent.plugins.outcome import Ambiguous, Delivered, Outcome, Refused, RetryAfter
from alertagent.plugins.transport import Transport
from tests.support.chats import SlackApi
from tests.support.messages import NOON, make_alert, make_message
from tests.support.names import Names

PLUGIN = Slack()
URL = "https://hooks.slack.com/services/T0/B0/CANARY"
BOT = {"bot_token": "xoxb-CANARY", "channel": "C0123456789"}

LINES = """\
*Severity:* critical
*Started:* 2026-11-22T14:40:00Z
<https://alertagent.example|Alert>
<http://prom.example/graph?g0.expr=up|Source>
*Description*
CPU usage is over 90%
*Labels*
*alertname:* HighCPU
*instance:* a:9100
*severity:* critical"""

POST = {
    "text": "[FIRING] HighCPU",
    "blocks": [{"type": "header", "text": {"type": "plain_text", "text": "[FIRING] HighCPU", "emoji": False}}],
    "attachments": [
        {
            "color": "#a30200",
            "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": LINES, "verbatim": True}}],
        }
    ],
}

GROUP = """\
*Alerts (3)*
• HighCPU: instance=a
• HighCPU: instance=b
• [resolved] HighCPU: instance=c
"""

BOT_ERRORS: dict[str, type[Outcome]] = {
    "channel_not_found": Refused,
    "not_in_channel": Refused,
    "is_archived": Refused,
    "invalid_auth": Refused,
    "not_authed": Refused,
    "account_inactive": Refused,
    "token_revoked": Refused,
    "token_expired": Refused,
    "missing_scope": Refused,
    "no_permission": Refused,
    "no_text": Refused,
    "invalid_blocks": Refused,
    "invalid_arguments": Refused,
    "msg_too_long": Refused,
    "msg_blocks_too_long": Refused,
    "too_many_attachments": Refused,
    "restricted_action": Refused,
    "restricted_action_read_only_channel": Refused,
    "org_login_required": Refused,
    "ekm_access_denied": Refused,
    "method_deprecated": Refused,
    "ratelimited": RetryAfter,
    "service_unavailable": RetryAfter,
    "request_timeout": RetryAfter,
    "message_limit_exceeded": RetryAfter,
    "message_not_found": Refused,
    "thread_not_found": Refused,
    "invalid_thread_ts": Refused,
    "cannot_reply_to_message": Refused,
    "cant_update_message": Refused,
    "something_new": RetryAfter,
    "fatal_error": Ambiguous,
    "internal_error": Ambiguous,
}


@pytest.fixture
async def slack() -> AsyncIterator[SlackApi]:
    async with SlackApi() as slack:
        yield slack


def configured(**settings: Any) -> SlackConfig:
    return PLUGIN.validate_config(settings or {"webhook_url": URL})


def posted(*alerts: Any, **fields: Any) -> dict[str, Any]:
    post: dict[str, Any] = json.loads(PLUGIN.render(configured(), make_message(*alerts, **fields), NOON).body)
    return post


def texts(post: dict[str, Any]) -> list[str]:
    return [block["text"]["text"] for attachment in post["attachments"] for block in attachment["blocks"]]


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def test_a_webhook_gets_blocks_beside_a_coloured_bar() -> None:
    request = PLUGIN.render(configured(), make_message(), NOON)

    assert request.url == URL
    assert request.headers == {"Content-Type": "application/json; charset=utf-8"}
    assert json.loads(request.body) == POST


def test_a_bot_posts_the_same_into_its_channel() -> None:
    request = PLUGIN.render(configured(**BOT), make_message(), NOON)

    assert request.url == "https://slack.com/api/chat.postMessage"
    assert request.headers["Authorization"] == "Bearer xoxb-CANARY"
    assert json.loads(request.body) == {
        **POST,
        "channel": "C0123456789",
        "unfurl_links": False,
        "unfurl_media": False,
    }


def test_of_a_group_every_alert_is_named() -> None:
    alerts = [make_alert(severity="warning", instance=name) for name in "ab"]
    resolved = make_alert(severity="warning", instance="c", status="resolved", ends_at=NOON)

    [text] = texts(posted(*alerts, resolved))

    assert GROUP in text


@pytest.mark.parametrize(
    ("status", "severity", "colour"),
    [
        ("firing", "critical", "#a30200"),
        ("firing", "", "#a30200"),
        ("firing", "warning", "#daa038"),
        ("firing", "info", "#439fe0"),
        ("resolved", "critical", "#2eb886"),
    ],
)
def test_the_colour_says_how_bad_it_is(status: str, severity: str, colour: str) -> None:
    alert = make_alert(status=status, severity=severity, ends_at=NOON if status == "resolved" else None)

    assert posted(alert)["attachments"][0]["color"] == colour


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a:9100, 50% of node_cpu_seconds", "a:9100, 50% of node_cpu_seconds"),
        ("<!channel> & <@U1> <http://evil.test|x>", "&lt;!channel&gt; &amp; &lt;@U1&gt; &lt;http://evil.test|x&gt;"),
        ("*bold* _it_ ~gone~ `code`", "＊bold＊ ＿it＿ ～gone～ ｀code｀"),
        ("&lt;!channel&gt;", "&amp;lt;!channel&amp;gt;"),
    ],
)
def test_a_value_is_shown_as_it_stands_and_does_nothing(text: str, shown: str) -> None:
    assert escaped(text) == shown


@pytest.mark.parametrize("hostile", ["<!channel>", "<@U1>", "<http://evil.test|x>", "a\n> quoted\n*b*", "\u202etxt"])
def test_hostile_labels_mention_nobody_and_link_nowhere(hostile: str) -> None:
    alerts = [make_alert(hostile, severity=hostile, generator_url="javascript:alert(1)") for _ in range(2)]

    post = posted(*alerts, content=hostile, title=hostile)

    text = "\n".join([post["text"], *texts(post)])
    assert text.replace("<https://alertagent.example|", "").count("<") == 0
    assert "javascript" not in text
    assert "\n> quoted" not in text
    assert "\u202e" not in text


def test_a_link_cannot_be_broken_out_of() -> None:
    [text] = texts(posted(make_alert(generator_url="http://a.example/?q=1&r=<x>|click")))

    assert "<http://a.example/?q=1&amp;r=&lt;x&gt;%7Cclick|Source>" in text


@pytest.mark.parametrize("filler", ["x", "告", "\n", "\\", "&", "<", "😀", "@", "_", "\x00"])
async def test_slack_takes_every_size_of_message_and_every_alert_is_named(
    filler: str, slack: SlackApi, transport: Transport
) -> None:
    alerts = [
        make_alert(
            f"Alert{number:02}", junk=f"{number}{filler * 5_000}", generator_url="http://a.example/?" + "&" * 2000
        )
        for number in range(MAX_ALERTS)
    ]
    message = make_message(*alerts, content=filler * 30_000, title="T" + filler * 5_000)

    outcome = await PLUGIN.send(configured(webhook_url=slack.url), message, transport, now=NOON)

    assert isinstance(outcome, Delivered)
    found = texts(slack.posts[0])
    assert units(slack.posts[0]["blocks"][0]["text"]["text"]) <= MAX_HEADER
    assert all(units(text) <= MAX_SECTION for text in found)
    assert all(f"Alert{number:02}" in "\n".join(found) for number in range(MAX_ALERTS))


def test_what_is_left_out_is_told() -> None:
    alert = make_alert(annotations={f"note{number:02}": "x" * 5_000 for number in range(50)})

    assert texts(posted(alert))[-1].endswith("\n… (shortened)")


@pytest.mark.parametrize(("word", "status"), SlackApi.ERRORS.items())
def test_what_a_webhook_refuses_has_slacks_word_for_it(word: str, status: int) -> None:
    assert PLUGIN.accept(status, {}, word.encode()) == Refused(code=word, text=word)


def test_an_archived_channel_is_not_gone_for_ever() -> None:
    outcome = PLUGIN.accept(410, {}, b"channel_is_archived")

    assert isinstance(outcome, Refused)
    assert not outcome.gone


def test_a_webhook_says_ok() -> None:
    assert PLUGIN.accept(200, {}, b"ok") == Delivered(code="ok", text="ok")


@pytest.mark.parametrize("body", [b"", b"no_text", b"<html>", b"{}", b"[]", b'{"ok":"true"}', b'{"ok":null}'])
def test_a_200_that_is_not_ok_is_ambiguous(body: bytes) -> None:
    assert isinstance(PLUGIN.accept(200, {}, body), Ambiguous)


def test_a_bots_message_has_a_name() -> None:
    body = b'{"ok":true,"channel":"C1","ts":"1503435956.000247","message":{}}'

    assert PLUGIN.accept(200, {}, body) == Delivered(code="ok", text=body.decode(), message_id="C1/1503435956.000247")


@pytest.mark.parametrize(("error", "kind"), BOT_ERRORS.items())
def test_what_a_bot_is_told_inside_a_200_decides(error: str, kind: type[Outcome]) -> None:
    outcome = PLUGIN.accept(200, {}, json.dumps({"ok": False, "error": error}).encode())

    assert isinstance(outcome, kind)
    assert outcome.code == error


def test_a_code_is_short_whatever_a_bot_is_told() -> None:
    outcome = PLUGIN.accept(200, {}, json.dumps({"ok": False, "error": "x\n" * 10_000}).encode())

    assert len(outcome.code.encode()) <= 100
    assert "\n" not in outcome.code


@pytest.mark.parametrize("body", [b"rate_limited", b'{"ok":false,"error":"ratelimited"}'])
def test_who_is_too_fast_pauses_for_as_long_as_slack_says(body: bytes) -> None:
    outcome = PLUGIN.accept(429, {"Retry-After": "30"}, body)

    assert isinstance(outcome, RetryAfter)
    assert (outcome.after, outcome.pause_channel) == (timedelta(seconds=30), True)
    assert outcome.code in {"rate_limited", "ratelimited"}


@pytest.mark.parametrize(
    ("status", "body", "code", "kind"),
    [
        (302, b"", "http.302", Refused),
        (403, b"<html>no</html>", "http.403", Refused),
        (429, b"", "http.429", RetryAfter),
        (500, b"rollup_error", "rollup_error", RetryAfter),
        (502, b'{"ok":true}', "http.502", RetryAfter),
    ],
)
def test_any_other_status_decides_by_itself(status: int, body: bytes, code: str, kind: type[Outcome]) -> None:
    outcome = PLUGIN.accept(status, {}, body)

    assert isinstance(outcome, kind)
    assert outcome.code == code


async def test_slack_takes_the_message_of_a_webhook(slack: SlackApi, transport: Transport) -> None:
    outcome = await PLUGIN.send(configured(webhook_url=slack.url), make_message(), transport, now=NOON)

    assert outcome == Delivered(code="ok", text="ok")
    assert slack.posts == [POST]


async def test_slack_takes_the_message_of_a_bot(slack: SlackApi, transport: Transport) -> None:
    config = configured(bot_token=SlackApi.TOKEN, channel="#alerts", base_url=slack.origin)

    outcome = await PLUGIN.send(config, make_message(), transport, now=NOON)

    assert isinstance(outcome, Delivered)
    assert outcome.message_id == outcome.thread == "C0123456789/1503435956.000247"
    assert [post["channel"] for post in slack.posts] == ["#alerts"]


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"bot_token": "xoxb-wrong", "channel": "#alerts"}, "invalid_auth"),
        ({"bot_token": SlackApi.TOKEN, "channel": "#nowhere"}, "channel_not_found"),
    ],
)
async def test_a_wrong_token_or_channel_is_final(
    settings: dict[str, str], code: str, slack: SlackApi, transport: Transport
) -> None:
    config = configured(**settings, base_url=slack.origin)

    outcome = await PLUGIN.send(config, make_message(), transport, now=NOON)

    assert isinstance(outcome, Refused)
    assert outcome.code == code
    assert slack.posts == []


async def test_a_webhook_that_was_removed_is_final(slack: SlackApi, transport: Transport) -> None:
    outcome = await PLUGIN.send(configured(webhook_url=f"{slack.url}x"), make_message(), transport, now=NOON)

    assert outcome == Refused(code="no_service", text="no_service")


async def test_a_health_check_of_a_webhook_posts_nothing(slack: SlackApi, transport: Transport) -> None:
    health = await PLUGIN.health_check(configured(webhook_url=slack.url), transport)

    assert health.healthy
    assert slack.attempts == 0


@pytest.mark.parametrize(("token", "healthy"), [(SlackApi.TOKEN, True), ("xoxb-wrong", False)])
async def test_a_health_check_of_a_bot_asks_for_its_token(
    token: str, healthy: bool, slack: SlackApi, transport: Transport
) -> None:
    config = configured(bot_token=token, channel="#alerts", base_url=slack.origin)

    health = await PLUGIN.health_check(config, transport)

    assert health.healthy is healthy
    assert ("invalid_auth" in health.text) is not healthy
    assert slack.posts == []


async def test_a_health_check_of_a_bot_says_that_slack_is_away(transport: Transport) -> None:
    async with SlackApi() as slack:
        config = configured(bot_token="xoxb-x", channel="#alerts", base_url=slack.origin)

    health = await PLUGIN.health_check(config, transport)

    assert not health.healthy
    assert "could not be reached" in health.text


@pytest.mark.parametrize(
    ("settings", "loc"),
    [
        ({"webhook_url": "hooks.slack.com/CANARY"}, ("webhook_url",)),
        ({"webhook_url": URL, **BOT}, ()),
        ({"webhook_url": URL, "channel": "#alerts"}, ()),
        ({"bot_token": "xoxb-CANARY"}, ()),
        ({"channel": "#alerts"}, ()),
        ({"bot_token": "xoxb-CANARY\r\nX: y", "channel": "#alerts"}, ("bot_token",)),
        ({"bot_token": "xoxb-CANARY", "channel": "two words"}, ("channel",)),
        ({**BOT, "base_url": "slack.com"}, ("base_url",)),
        ({"webhook_url": URL, "token": "CANARY"}, ("token",)),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, Any], loc: tuple[str | int, ...]) -> None:
    with pytest.raises(Invalid) as caught:
        configured(**settings)

    assert [detail.loc for detail in caught.value.details] == [loc]
    assert "CANARY" not in caught.value.message


def test_nothing_set_is_a_finding_too() -> None:
    with pytest.raises(Invalid, match="set either webhook_url, or bot_token and channel"):
        PLUGIN.validate_config({})


def test_address_and_token_are_never_read_back() -> None:
    assert PLUGIN.mask_config(BOT) == {"bot_token": "***", "channel": "C0123456789"}
    assert PLUGIN.mask_config({"webhook_url": URL}) == {"webhook_url": "***"}
    assert "CANARY" not in repr(configured()) + repr(configured(**BOT))


def test_a_bot_has_an_account_in_every_channel() -> None:
    first, second = (configured(bot_token="xoxb-x", channel=channel) for channel in ("C1", "C2"))

    assert PLUGIN.account(first) != PLUGIN.account(second)
    assert PLUGIN.account(configured()) == URL


@pytest.mark.parametrize(
    ("settings", "loc"),
    [
        ({"webhook_url": "http://private.test/x"}, "webhook_url"),
        ({**BOT, "base_url": "http://private.test"}, "base_url"),
    ],
)
async def test_an_address_that_is_not_public_is_named(settings: dict[str, str], loc: str) -> None:
    guard = AddressGuard(resolver=Names(private_test=["10.0.0.1"]))

    with pytest.raises(Invalid, match="not public") as caught:
        await PLUGIN.check_config(configured(**settings), guard)

    assert caught.value.details[0].loc == (loc,)
