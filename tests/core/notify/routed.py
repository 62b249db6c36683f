"""Routing documents and silences for tests of groups."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import orjson

from alertagent.core.audit.model import Actor
from alertagent.core.routing.document import read_json
from alertagent.core.silences.model import Draft, SilenceMatcher
from tests.core.alerts.house import House

ANNA = Actor(name="anna")


async def route(house: House, tree: Mapping[str, Any] | None, **document: Any) -> None:
    """Store a document with this tree, or take it back, and let what follows at once happen."""
    routing = house.parts.routing
    if tree is None:
        await routing.remove(ANNA, None)
    else:
        await routing.put(ANNA, read_json(orjson.dumps({"route": tree, **document})), None)
    await house.work()


async def silence(house: House, *matchers: str, minutes: float) -> str:
    """Silence what fits all these matchers, from now; the silence's id."""
    draft = Draft(
        matchers=tuple(map(SilenceMatcher.parse, matchers)),
        comment="quiet",
        created_by="anna",
        duration=timedelta(minutes=minutes),
    )
    return (await house.parts.silences.create(ANNA, draft)).id
