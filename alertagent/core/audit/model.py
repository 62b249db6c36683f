"""Who did something. Pure."""

from dataclasses import dataclass

from alertagent.web.call import Call


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """The one behind a change, and the request it came with."""

    name: str
    request_id: str | None = None
    remote: str | None = None


SYSTEM = Actor(name="alertagent")


def actor_of(call: Call) -> Actor:
    return Actor(name=call.actor, request_id=call.request_id, remote=call.remote)
