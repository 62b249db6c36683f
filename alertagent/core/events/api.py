"""Server-sent events over HTTP."""

from typing import Annotated

from pydantic import Field, field_validator

from alertagent.core.events.model import Topic
from alertagent.core.events.service import Events
from alertagent.web.access import Access, Role
from alertagent.web.call import Call
from alertagent.web.models import Model
from alertagent.web.replies import Stream
from alertagent.web.routes import get


class EventsQuery(Model):
    topics: Annotated[
        str, Field(max_length=200, description="Which, with commas between: `alerts,rules`. Default: all of them.")
    ] = ""
    last_event_id: Annotated[
        str | None, Field(max_length=100, description="For clients that cannot send the header `Last-Event-ID`.")
    ] = None

    @field_validator("topics")
    @classmethod
    def _are_topics(cls, topics: str) -> str:
        for name in filter(None, topics.split(",")):
            if name not in set(Topic):
                raise ValueError(f'there is no topic "{name}"; known: {", ".join(Topic)}')
        return topics

    def chosen(self) -> frozenset[Topic]:
        return frozenset(map(Topic, filter(None, self.topics.split(","))))


class EventsApi:
    def __init__(self, events: Events) -> None:
        self._events = events

    @get("/events", access=Access(role=Role.VIEWER))
    async def events(self, call: Call, query: EventsQuery) -> Stream:
        """Server-sent events that tell what changed; `reset` means that a page should look at everything anew."""
        self._events.require_room()
        last_id = call.last_event_id or query.last_event_id
        return Stream(parts=self._events.read(last_id, query.chosen()), content_type="text/event-stream")
