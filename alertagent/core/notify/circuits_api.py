"""The circuit breakers of channels over HTTP."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from alertagent.core.audit.model import actor_of
from alertagent.core.notify.channels import Channels
from alertagent.core.notify.circuits import Circuits
from alertagent.kernel.breaker import Breaker, State
from alertagent.kernel.clock import Clock
from alertagent.web.access import editor
from alertagent.web.call import Call
from alertagent.web.models import Model
from alertagent.web.routes import post


class BreakerView(Model):
    """Whether the provider is called: `open` means that it failed too often and is left alone until then."""

    state: State
    until: datetime | None
    recent_failures: Annotated[int, Field(description="Among the last 20 messages that were watched.")]


class CircuitsApi:
    def __init__(self, channels: Channels, circuits: Circuits, clock: Clock) -> None:
        self._channels = channels
        self._circuits = circuits
        self._clock = clock

    @post("/channels/{id}/breaker/reset", access=editor("channels:write"))
    async def reset(self, call: Call, id: str) -> BreakerView:
        """Close the breaker of a channel, and of all that share its credential: its provider is called again."""
        channel = await self._channels.get(id)
        await self._circuits.reset(actor_of(call), channel)
        return breaker_view(Breaker(), self._clock.now())


def breaker_view(breaker: Breaker, now: datetime) -> BreakerView:
    state = breaker.state(now)
    until = {State.OPEN: breaker.open_until, State.PAUSED: breaker.paused_until}.get(state)
    return BreakerView(state=state, until=until, recent_failures=sum(breaker.recent))
