"""Channels, plugins and deliveries over HTTP."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from alertagent.core.audit.model import actor_of
from alertagent.core.notify.channels import Channels, require_readable
from alertagent.core.notify.circuits import Circuits
from alertagent.core.notify.circuits_api import BreakerView, breaker_view
from alertagent.core.notify.deliver import Deliveries
from alertagent.core.notify.model import Channel, Delivery, DeliveryStatus
from alertagent.core.notify.plugins import Plugins
from alertagent.core.notify.plugins_api import TestResult, result_of
from alertagent.core.notify.retrying import Retries
from alertagent.core.notify.settings import MinSeverity, QuietHoursModel, QuietHoursView
from alertagent.core.notify.trying import Trying
from alertagent.kernel.breaker import Breaker
from alertagent.kernel.clock import Clock
from alertagent.kernel.language import Language
from alertagent.plugins.outcome import Delivered
from alertagent.storage.pages import PageRequest
from alertagent.web.access import editor, viewer
from alertagent.web.call import Call
from alertagent.web.models import NAMING, ListQuery, Model
from alertagent.web.replies import Page, Reply
from alertagent.web.routes import delete, get, post, put

Name = Annotated[str, Field(min_length=1, max_length=100), NAMING]
Fallback = Annotated[
    tuple[Name, ...], Field(max_length=10, description="Channels to try, in order, when this one cannot deliver.")
]
Pool = Annotated[
    tuple[Name, ...],
    Field(max_length=20, description="Channels of the same plugin that send what this one has no room for, in order."),
]
Owner = Annotated[
    str,
    Field(
        min_length=1, max_length=100, description="Whose it is; `user:<id>` is all channels of a user. Null: shared."
    ),
]
Default = Annotated[bool, Field(description="Gets every alert while no routing document is stored.")]

Spoken = Annotated[
    Language, Field(description="What its readers speak. Null: what its plugin does, which `/plugins` tells.")
]
TemplateName = Annotated[
    str, Field(min_length=1, max_length=100, description="Words its messages, as far as its plugin has a use for it.")
]


class ChannelRequest(Model):
    name: Name
    plugin_name: Name
    config: dict[str, Any] = {}
    enabled: bool = True
    user_id: Owner | None = None
    fallback: Fallback = ()
    default: Default = False
    min_severity: MinSeverity = None
    quiet_hours: QuietHoursModel | None = None
    pool: Pool = ()
    language: Spoken | None = None
    template: TemplateName | None = None

    def values(self) -> dict[str, Any]:
        return _as_kept({name: getattr(self, name) for name in ChannelRequest.model_fields})


class ChannelChange(Model):
    """What is given replaces, what is absent stays; `"***"` inside config keeps a secret.

    Null clears `user_id`, `min_severity`, `quiet_hours`, `language` and `template`.
    """

    name: Name | None = None
    plugin_name: Name | None = None
    config: dict[str, Any] | None = None
    enabled: bool | None = None
    user_id: Owner | None = None
    fallback: Fallback | None = None
    default: Default | None = None
    min_severity: MinSeverity = None
    quiet_hours: QuietHoursModel | None = None
    pool: Pool | None = None
    language: Spoken | None = None
    template: TemplateName | None = None

    def changes(self) -> dict[str, Any]:
        given = {name: getattr(self, name) for name in self.model_fields_set}
        return _as_kept({name: value for name, value in given.items() if value is not None or name in _CLEARED})


# What a null takes away; any other null changes nothing.
_CLEARED = {"user_id", "min_severity", "quiet_hours", "language", "template"}


def _as_kept(given: Mapping[str, Any]) -> dict[str, Any]:
    values = {"is_default" if name == "default" else name: value for name, value in given.items()}
    quiet = values.get("quiet_hours")
    return values if quiet is None else {**values, "quiet_hours": quiet.model_dump(mode="json")}


class ChannelView(Model):
    """A channel; secrets in `config` read as `"***"`. `breaker` is null where nothing can fail."""

    id: str
    name: str
    plugin_name: str
    config: dict[str, Any]
    enabled: bool
    user_id: str | None
    fallback: tuple[str, ...]
    default: bool
    paused_until: datetime | None
    created_at: datetime
    updated_at: datetime
    unreadable: Annotated[str | None, Field(description="Why its settings do not open, where that is so.")]
    breaker: BreakerView | None
    min_severity: str | None
    quiet_hours: QuietHoursView | None
    pool: tuple[str, ...]
    language: Spoken | None
    template: TemplateName | None


class CheckResult(Model):
    healthy: bool
    message: Annotated[str, Field(description="Why not, where that is so.")]


class DeliveryView(Model):
    id: str
    channel_id: str
    group_key: str
    receiver: Annotated[
        str, Field(description="The route's receiver, or `escalation`, `assignment`, `digest` or `fallback`.")
    ]
    alerts: tuple[str, ...]
    status: DeliveryStatus
    attempts: int
    provider_code: str
    provider_message: str
    message_id: str | None
    latency_ms: int | None
    digest_id: Annotated[str | None, Field(description="The digest that tells this, because it is late.")]
    stands_in_for: Annotated[str | None, Field(description="The id of the channel that could not be told.")]
    created_at: datetime
    updated_at: datetime
    sent_by: Annotated[str | None, Field(description="The id of the channel of its pool that sent it.")]
    template_error: Annotated[str, Field(description="Why the plugin's layout was sent and not the template's words.")]


class NotifyApi:
    def __init__(
        self,
        channels: Channels,
        deliveries: Deliveries,
        retries: Retries,
        plugins: Plugins,
        *,
        circuits: Circuits,
        clock: Clock,
        trying: Trying,
    ) -> None:
        self._channels = channels
        self._circuits = circuits
        self._clock = clock
        self._deliveries = deliveries
        self._retries = retries
        self._plugins = plugins
        self._trying = trying

    @get("/channels", access=viewer("channels:read"))
    async def list(self, call: Call, query: ListQuery) -> Page[ChannelView]:
        """The channels."""
        channels, next_cursor, total = await self._channels.page(PageRequest(**query.model_dump()))
        breakers = await self._circuits.look(channels)
        views = [self._view(channel, breakers.get(channel.id)) for channel in channels]
        return Page(items=views, next_cursor=next_cursor, total=total)

    @post("/channels", access=editor("channels:write"), status=201)
    async def add(self, call: Call, body: ChannelRequest) -> Reply[ChannelView]:
        """Make a channel."""
        return await self._reply(await self._channels.add(actor_of(call), body.values()))

    @get("/channels/{id}", access=viewer("channels:read"))
    async def read(self, call: Call, id: str) -> Reply[ChannelView]:
        """One channel."""
        return await self._reply(await self._channels.get(id))

    @put("/channels/{id}", access=editor("channels:write"))
    async def revise(self, call: Call, id: str, body: ChannelChange) -> Reply[ChannelView]:
        """Change a channel."""
        return await self._reply(await self._channels.revise(actor_of(call), id, body.changes(), call.expected))

    @delete("/channels/{id}", access=editor("channels:write"))
    async def remove(self, call: Call, id: str) -> None:
        """Delete a channel; what it was still to be told is dropped."""
        await self._channels.remove(actor_of(call), id, call.expected)

    @post("/channels/{id}/test", access=editor("channels:write"))
    async def test(self, call: Call, id: str) -> TestResult:
        """Send one test message through a channel, also while its breaker is open, and show what the provider said."""
        channel = await self._channels.get(id)
        require_readable(channel)
        await self._plugins.require_enabled(channel.plugin_name)
        outcome, reason = await self._trying.channel(channel)
        if isinstance(outcome, Delivered):
            await self._circuits.note(self._circuits.circuit_of(channel), outcome)
        return result_of(outcome, reason)

    @post("/channels/{id}/check", access=editor("channels:write"))
    async def check(self, call: Call, id: str) -> CheckResult:
        """Whether a channel could deliver, as far as its provider tells without a message."""
        channel = await self._channels.get(id)
        require_readable(channel)
        health = await self._channels.check(channel)
        return CheckResult(healthy=health.healthy, message=health.text)

    @get("/channels/{id}/deliveries", access=viewer("deliveries:read"))
    async def deliveries_of(self, call: Call, id: str, query: ListQuery) -> Page[DeliveryView]:
        """What a channel was told, newest first, with the provider's own words."""
        await self._channels.get(id)
        request = PageRequest(**query.model_dump())
        only = PageRequest(**{**asdict(request), "filter": (*request.filter, f'channel_id="{id}"')})
        return await self._page(only)

    @get("/deliveries", access=viewer("deliveries:read"))
    async def deliveries(self, call: Call, query: ListQuery) -> Page[DeliveryView]:
        """What was told to whom, newest first, with the provider's own words."""
        return await self._page(PageRequest(**query.model_dump()))

    @post("/deliveries/{id}/retry", access=editor("deliveries:write"))
    async def retry(self, call: Call, id: str) -> DeliveryView:
        """Try a delivery that has failed for good once more, with all its attempts."""
        return _delivery(await self._retries.retry(actor_of(call), id))

    async def _page(self, request: PageRequest) -> Page[DeliveryView]:
        deliveries, next_cursor, total = await self._deliveries.page(request)
        return Page(items=[_delivery(delivery) for delivery in deliveries], next_cursor=next_cursor, total=total)

    def _view(self, channel: Channel, breaker: Breaker | None) -> ChannelView:
        values = {name: getattr(channel, name) for name in ChannelView.model_fields.keys() - {"default", "breaker"}}
        shown = {
            "config": self._channels.masked(channel),
            "default": channel.is_default,
            "breaker": breaker_view(breaker, self._clock.now()) if breaker is not None else None,
        }
        return ChannelView(**{**values, **shown})

    async def _reply(self, channel: Channel) -> Reply[ChannelView]:
        breakers = await self._circuits.look([channel])
        return Reply(data=self._view(channel, breakers.get(channel.id)), etag=str(channel.revision))


def _delivery(delivery: Delivery) -> DeliveryView:
    values = {name: getattr(delivery, name) for name in DeliveryView.model_fields if name != "alerts"}
    return DeliveryView(**values, alerts=tuple(alert.fingerprint for alert in delivery.alerts))
