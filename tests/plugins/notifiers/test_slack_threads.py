"""What a bot's messages about one group have to do with each other."""

import json
from collections.abc import AsyncIterator

import pytest

from alertagent.kernel.message import Message, Thread
from alertagent.plugins.notifiers.slack import Slack, SlackConfig
from alertagent.plugins.outcome import Delivered, RetryAfter
from alertagent.plugins.transport import Transport
from tests.support.chats import SlackApi
from tests.support.messages import NOON, make_alert, make_message

PLUGIN = Slack()
ROOT = "C0123456789/1503435956.000247"
SENT = "1503435956.000247"


@pytest.fixture
async def slack() -> AsyncIterator[SlackApi]:
    async with SlackApi() as slack:
        yield slack


def bot(slack: SlackApi) -> SlackConfig:
    return PLUGIN.validate_config({"bot_token": SlackApi.TOKEN, "channel": "#alerts", "base_url": slack.origin})


def over(root: str = ROOT) -> Message:
    alert = make_alert(severity="critical", status="resolved", ends_at=NOON)
    return make_message(alert, thread=Thread(root=root, is_calm=True, is_over=True))


async def send(slack: SlackApi, transport: Transport, message: Message) -> Delivered:
    outcome = await PLUGIN.send(bot(slack), message, transport, now=NOON)
    assert isinstance(outcome, Delivered)
    return outcome


@pytest.mark.parametrize("is_calm", [True, False])
async def test_a_reply_is_seen_in_the_channel_unless_it_tells_of_ends_only(
    slack: SlackApi, transport: Transport, is_calm: bool
) -> None:
    first = await send(slack, transport, make_message())
    assert first.thread == ROOT

    second = await send(slack, transport, make_message(thread=Thread(root=ROOT, is_calm=is_calm)))

    assert second.thread == ROOT
    assert [(post["channel"], post.get("thread_ts")) for post in slack.posts] == [
        ("#alerts", None),
        ("C0123456789", SENT),
    ]
    assert slack.posts[1]["reply_broadcast"] is not is_calm


async def test_at_the_end_the_first_message_says_so_and_a_reply_is_posted(
    slack: SlackApi, transport: Transport
) -> None:
    await send(slack, transport, make_message())

    await send(slack, transport, over())

    assert slack.shown[SENT]["text"] == "[RESOLVED] HighCPU"
    assert slack.shown[SENT]["attachments"][0]["color"] == "#2eb886"
    assert [post.get("thread_ts") for post in slack.posts] == [None, SENT]
    assert slack.posts[1]["reply_broadcast"] is False


async def test_an_end_that_is_repeated_changes_the_first_message_again_and_posts_one_reply(
    slack: SlackApi, transport: Transport
) -> None:
    await send(slack, transport, make_message())
    slack.answer_next({"ok": True, "channel": "C0123456789", "ts": SENT})
    slack.answer_next({"ok": False, "error": "ratelimited"})
    assert isinstance(await PLUGIN.send(bot(slack), over(), transport, now=NOON), RetryAfter)

    await send(slack, transport, over())

    assert slack.shown[SENT]["text"] == "[RESOLVED] HighCPU"
    assert [post.get("thread_ts") for post in slack.posts] == [None, SENT]


@pytest.mark.parametrize("error", ["cant_update_message", "edit_window_closed", "ratelimited", "internal_error"])
async def test_that_the_first_message_cannot_be_changed_keeps_no_reply_back(
    slack: SlackApi, transport: Transport, error: str
) -> None:
    await send(slack, transport, make_message())
    slack.answer_next({"ok": False, "error": error})

    await send(slack, transport, over())

    assert [post.get("thread_ts") for post in slack.posts] == [None, SENT]


async def test_a_thread_that_is_gone_is_begun_anew(slack: SlackApi, transport: Transport) -> None:
    gone = "C0123456789/1400000000.000001"

    news = await send(slack, transport, make_message(thread=Thread(root=gone)))
    end = await send(slack, transport, over(gone))

    assert [news.thread, end.thread] == [news.message_id, end.message_id]
    assert [post.get("thread_ts") for post in slack.posts] == [None, None]


def test_a_webhook_has_no_threads() -> None:
    config = PLUGIN.validate_config({"webhook_url": "https://hooks.slack.com/services/T0/B0/CANARY"})

    assert PLUGIN.closing(config, over()) is None
    assert "thread_ts" not in json.loads(PLUGIN.render(config, over(), NOON).body)
