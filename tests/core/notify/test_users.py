"""Routes that lead to a user: to each of their channels, as if it had been named."""

import asyncio
from datetime import timedelta

import orjson
import pytest

from alertagent.core.notify.model import Channel
from alertagent.kernel.errors import Conflict, Invalid
from tests.core.alerts.house import House, until
from tests.core.notify.routed import ANNA, route
from tests.core.notify.test_groups import add_channel, deliveries, firing, is_idle, messages, pass_time, resolved
from tests.core.notify.test_keeping import quiet
from tests.core.notify.test_routed_groups import tree
from tests.support.sink import Sink

MINUTE = timedelta(minutes=1)


async def own(house: House, sink: Sink, name: str, user: str = "alice", **values: object) -> Channel:
    return await add_channel(house, sink, name, is_default=False, user_id=user, **values)


async def to_alice(house: House) -> None:
    await route(house, tree(receiver="user:alice"))


async def why(house: House, **labels: str) -> list[str]:
    explanation = await house.parts.explanations.of_labels(labels)
    return [answer.partition(' leads to receiver "')[2] for answer in explanation.answers]


async def test_all_enabled_channels_of_a_user_are_told_of_beginning_and_end_once(house: House, sink: Sink) -> None:
    await own(house, sink, "chat")
    await own(house, sink, "mail")
    await own(house, sink, "old", enabled=False)
    await own(house, sink, "bobs", "bob")
    await to_alice(house)
    alert = await house.fire("A")
    await pass_time(house, MINUTE)
    await house.resolve("A")
    await pass_time(house, 2 * MINUTE)

    assert messages(sink, "chat") == messages(sink, "mail") == [firing("A"), resolved("A")]
    assert messages(sink, "old") == messages(sink, "bobs") == []
    assert {orjson.loads(request.body)["receiver"] for request in sink.requests} == {"user:alice"}
    timeline = await house.parts.alerts.timeline(alert.fingerprint, before=None, limit=100)
    assert [event.detail["receiver"] for event in timeline if event.kind == "notification.sent"] == ["user:alice"] * 4
    assert await is_idle(house)


async def test_a_channel_that_is_named_beside_its_user_is_told_once(house: House, sink: Sink) -> None:
    await own(house, sink, "chat")
    await own(house, sink, "mail")
    receivers = [{"name": "both", "channels": ["chat", "user:alice"]}]
    await route(house, tree(receiver="both"), receivers=receivers)
    await house.fire("A")

    await pass_time(house, MINUTE)

    assert messages(sink, "chat") == messages(sink, "mail") == [firing("A")]
    assert [answer.partition("channel ")[2].partition(":")[0] for answer in await why(house, alertname="A")] == [
        "chat",
        "mail",
    ]


async def test_a_receiver_may_keep_the_ends_from_a_user(house: House, sink: Sink) -> None:
    await own(house, sink, "chat")
    await route(house, tree(receiver="user:alice"), receivers=[{"name": "user:alice", "send_resolved": False}])
    await house.fire("A")
    await pass_time(house, MINUTE)
    await house.resolve("A")
    await pass_time(house, MINUTE)

    assert messages(sink, "chat") == [firing("A")]


async def test_each_channel_keeps_its_quiet_hours_and_its_least_severity(house: House, sink: Sink) -> None:
    await own(house, sink, "chat")
    await own(house, sink, "mail", quiet_hours=quiet(house, minutes=10))
    await own(house, sink, "phone", min_severity="critical")
    await to_alice(house)
    alert = await house.fire("A", severity="warning")
    await pass_time(house, MINUTE)
    at_night = (messages(sink, "chat"), messages(sink, "mail"), messages(sink, "phone"))
    await pass_time(house, 10 * MINUTE)

    assert at_night == ([firing("A")], [], [])
    assert (messages(sink, "mail"), messages(sink, "phone")) == ([firing("A")], [])
    timeline = await house.parts.alerts.timeline(alert.fingerprint, before=None, limit=100)
    held = {event.detail["stage"]: event.detail["by"] for event in timeline if event.kind == "notification.held"}
    assert held == {"quiet_hours": ["mail"], "below_minimum": ["phone"]}


async def test_a_channel_that_the_user_gets_later_hears_without_another_document(house: House, sink: Sink) -> None:
    await own(house, sink, "chat")
    bobs = await own(house, sink, "phone", "bob")
    await to_alice(house)
    await house.fire("A")
    await pass_time(house, MINUTE)

    await own(house, sink, "mail")
    await house.parts.channels.revise(ANNA, bobs.id, {"user_id": "alice"}, None)
    await pass_time(house, MINUTE)

    assert messages(sink, "chat") == messages(sink, "mail") == messages(sink, "phone") == [firing("A")]


async def test_what_a_channel_knows_it_is_not_told_again_when_its_user_takes_its_place(
    house: House, sink: Sink
) -> None:
    await own(house, sink, "chat")
    await route(house, tree(receiver="chat"))
    await house.fire("A", team="db")
    await pass_time(house, MINUTE)

    await route(house, tree({"matchers": ['team="db"'], "receiver": "user:alice"}, receiver="user:alice"))
    await pass_time(house, 2 * MINUTE)

    assert messages(sink, "chat") == [firing("A")]
    assert await deliveries(house) == ["sent"]


async def test_the_end_of_what_a_fallback_told_is_told_once_where_its_user_is_routed_to(
    house: House, sink: Sink
) -> None:
    """The fallback of one channel is another one of the same user, which its group tells by itself."""
    await own(house, sink, "chat", fallback=("mail",))
    await own(house, sink, "mail")
    await to_alice(house)
    await house.fire("A")
    await pass_time(house, MINUTE)
    await house.resolve("A")
    await pass_time(house, 2 * MINUTE)

    assert messages(sink, "mail") == [firing("A"), resolved("A")]
    assert await house.database.fetchval("SELECT count(*) FROM awaited_ends") == 0


async def test_an_explanation_names_the_channels(house: House, sink: Sink) -> None:
    await own(house, sink, "chat")
    await own(house, sink, "old", enabled=False)
    await to_alice(house)

    assert await why(house, alertname="A") == [
        'user:alice", channel chat: it would be told',
        'user:alice", channel old: it is switched off, or its plugin is',
    ]
    assert await house.parts.gateway.receivers() == ["user:alice"]


async def test_nobody_is_routed_to_who_has_no_channel(house: House, sink: Sink) -> None:
    await own(house, sink, "chat")

    with pytest.raises(Invalid) as refused:
        await route(house, tree(receiver="user:alcie"))
    (detail,) = refused.value.details
    assert detail.loc == ("route", "receiver")
    assert detail.message == ('"user:alcie" leads to nobody: no channel has this "user_id". Did you mean "user:alice"?')
    with pytest.raises(Invalid, match='no channel has this "user_id"'):
        await route(house, tree(receiver="all"), receivers=[{"name": "all", "channels": ["chat", "user:"]}])


async def test_the_last_channel_of_a_user_who_is_routed_to_stays(house: House, sink: Sink) -> None:
    chat, mail = await own(house, sink, "chat"), await own(house, sink, "mail")
    await to_alice(house)
    channels = house.parts.channels
    await channels.remove(ANNA, chat.id, None)

    with pytest.raises(Conflict) as refused:
        await channels.remove(ANNA, mail.id, None)
    for user in (None, "bob"):
        with pytest.raises(Conflict, match="cannot be given away"):
            await channels.revise(ANNA, mail.id, {"user_id": user}, None)

    assert refused.value.message == (
        'channel "mail" is the last of user:alice and cannot be deleted while the routing document names them: '
        "the route {}. Take them out there first, or switch the channel off"
    )
    assert not (await channels.revise(ANNA, mail.id, {"enabled": False, "name": "letters"}, None)).enabled
    await route(house, None)
    await channels.remove(ANNA, mail.id, None)


async def two_wait(house: House) -> bool:
    count: int = await house.database.fetchval(
        "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)"
        " WHERE NOT granted AND datname = current_database()"
    )
    return count == 2


async def test_of_two_who_delete_the_last_two_channels_of_a_user_one_is_refused(house: House, sink: Sink) -> None:
    both = [await own(house, sink, name) for name in ("chat", "mail")]
    await to_alice(house)

    async with house.database.transaction() as transaction:
        # Whoever has looked at what the other has not committed comes as far as this.
        await transaction.execute("LOCK TABLE audit_log")
        removals = [asyncio.create_task(house.parts.channels.remove(ANNA, channel.id, None)) for channel in both]
        await until(lambda: two_wait(house))
    answers = await asyncio.gather(*removals, return_exceptions=True)

    assert sorted(type(answer).__name__ for answer in answers) == ["Conflict", "NoneType"]


async def test_no_channel_is_named_like_a_user(house: House, sink: Sink) -> None:
    chat = await own(house, sink, "chat")

    with pytest.raises(Invalid, match="stands for all channels of a user"):
        await own(house, sink, "user:bob")
    with pytest.raises(Invalid) as refused:
        await house.parts.channels.revise(ANNA, chat.id, {"name": "user:bob"}, None)
    assert refused.value.details[0].loc == ("name",)
    with pytest.raises(Invalid):
        await house.parts.channels.webhook("user:bob", f"{sink.origin}/x")


async def test_a_receiver_of_an_alertmanager_may_become_a_user(house: House, sink: Sink) -> None:
    await own(house, sink, "chat")
    foreign = b"route: {receiver: ops}\nreceivers: [{name: ops, slack_configs: [{api_url: 'https://x.example/'}]}]\n"

    exchange = house.parts.routing_exchange
    await exchange.take_in(ANNA, await exchange.plan(foreign, ["ops:user:alice"]), None)
    await house.fire("A", ago=60)
    await house.work()

    assert messages(sink, "chat") == [firing("A")]
