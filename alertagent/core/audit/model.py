"""Who did something, and what. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from alertagent.web.call import Call


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """The one behind a change, and the request it came with."""

    name: str
    request_id: str | None = None
    remote: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What was done: `action` is a word such as `rule.updated`, `subject` the kind and id of what was changed.

    The documents must be free of secrets: whoever may read the log reads them.
    """

    action: str
    subject: tuple[str, str]
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None


SYSTEM = Actor(name="alertagent")


def actor_of(call: Call) -> Actor:
    return Actor(name=call.actor, request_id=call.request_id, remote=call.remote)
