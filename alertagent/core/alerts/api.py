"""Alerts over HTTP: the two doors by which they come in, and where people look at them."""

import asyncio
from collections import Counter as Tally
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict
from datetime import datetime
from functools import partial
from typing import Annotated, Any

from prometheus_client import Counter
from pydantic import Field, field_validator

from alertagent.core.alerts.intake import LARGE_POST, Received, Timeouts, read_api_v2, read_webhook, weight
from alertagent.core.alerts.model import FLAPPING_FROM, Alert, AlertStatus, AnalysisStatus, NotificationStatus
from alertagent.core.alerts.service import Alerts
from alertagent.kernel import trace
from alertagent.kernel.clock import Clock
from alertagent.kernel.errors import Invalid
from alertagent.storage.pages import PageRequest
from alertagent.web.access import scoped, viewer
from alertagent.web.call import Call
from alertagent.web.models import FilterQuery, ListQuery, Model
from alertagent.web.replies import Page, Reply
from alertagent.web.room import Bound
from alertagent.web.routes import LARGE_BODY_LIMIT, get, post

INGEST = scoped("ingest")

# Some thousands of alerts that are read, or wait for their commit.
IN_HAND = Bound(limit=8 * 1024 * 1024, weigh=weight)

MAX_FACETS = 10


class Accepted(Model):
    """How many alerts of the post are durable now."""

    received: int


class AlertView(Model):
    """`id` is Alertmanager's fingerprint; `ends_at` is null while the alert fires."""

    id: str
    status: AlertStatus
    severity: str
    labels: dict[str, str]
    annotations: dict[str, str]
    generator_url: str
    source: str
    starts_at: datetime
    ends_at: datetime | None
    last_seen_at: datetime
    updated_at: datetime
    episode: int
    analysis_status: AnalysisStatus
    analysis_result: dict[str, Any] | None
    task_id: str | None
    notification_status: NotificationStatus
    acknowledged_by: str | None
    assigned_to: str | None
    flapping: Annotated[bool, Field(description="It began to fire three times or more within the last hour.")]
    episodes_last_hour: int


class EventView(Model):
    id: int
    kind: str
    at: datetime
    episode: int
    actor: str
    detail: dict[str, Any]


class TimelineQuery(Model):
    limit: Annotated[int, Field(ge=1, le=500)] = 50
    cursor: Annotated[int | None, Field(ge=1, le=2**63 - 1, description="`page.next_cursor` of the page before.")] = (
        None
    )


class FacetsQuery(FilterQuery):
    by: Annotated[
        str,
        Field(
            min_length=1,
            max_length=2048,
            description="Fields and labels, at most 10, with commas between: `severity,cluster`.",
        ),
    ]

    @field_validator("by")
    @classmethod
    def _names_few(cls, by: str) -> str:
        names = by.split(",")
        if not all(names) or len(set(names)) < len(names) or len(names) > MAX_FACETS:
            raise ValueError(f"name 1 to {MAX_FACETS} different fields or labels, with commas between")
        return by

    def names(self) -> tuple[str, ...]:
        return tuple(self.by.split(","))


class FacetValue(Model):
    """`value` is empty for alerts without the label."""

    value: str
    count: int


class FacetsView(Model):
    total: int
    facets: dict[str, tuple[FacetValue, ...]]


class CountsView(Model):
    """`severities`: the 50 most frequent; the empty text stands for alerts without one."""

    firing: int
    acknowledged: int
    severities: dict[str, int]


class AlertsApi:
    def __init__(
        self,
        alerts: Alerts,
        clock: Clock,
        timeouts: Timeouts,
        received: Counter,
        *,
        drop_labels: Collection[str] = (),
    ) -> None:
        self._alerts = alerts
        self._clock = clock
        self._timeouts = timeouts
        self._received = received
        self._drop_labels = frozenset(drop_labels)

    @post("/alerts/webhook", access=INGEST, body_limit=LARGE_BODY_LIMIT, bound=IN_HAND)
    async def webhook(self, call: Call, body: bytes) -> Accepted:
        """Take alerts as Alertmanager's webhook sends them, at most 100,000; answered once durable."""
        return await self._take(call, body, read_webhook)

    @post("/api/v2/alerts", prefix="", access=INGEST, body_limit=LARGE_BODY_LIMIT, bound=IN_HAND, foreign=True)
    async def api_v2(self, call: Call, body: bytes) -> Accepted:
        """Take alerts as Prometheus and vmalert post them to Alertmanager, at most 100,000; answered once durable."""
        return await self._take(call, body, read_api_v2)

    @get("/alerts", access=viewer("alerts:read"))
    async def list(self, call: Call, query: ListQuery) -> Page[AlertView]:
        """The alerts, last changed first."""
        alerts, next_cursor, total = await self._alerts.page(PageRequest(**query.model_dump()))
        return Page(items=await views(self._alerts, alerts), next_cursor=next_cursor, total=total)

    @get("/alerts/facets", access=viewer("alerts:read"))
    async def facets(self, call: Call, query: FacetsQuery) -> FacetsView:
        """How often which values occur among the firing alerts; of each field the 50 most frequent."""
        facets = await self._alerts.facets(query.filter, query.q, query.names())
        return FacetsView(
            total=facets.total,
            facets={
                name: tuple(FacetValue(value=value, count=count) for value, count in values.items())
                for name, values in facets.values.items()
            },
        )

    @get("/alerts/counts", access=viewer("alerts:read"))
    async def counts(self, call: Call, query: FilterQuery) -> CountsView:
        """How many alerts fire, how many of those are acknowledged, and how severe they are."""
        facets = await self._alerts.facets(query.filter, query.q, ("severity", "acknowledged"))
        return CountsView(
            firing=facets.total,
            acknowledged=facets.values["acknowledged"].get("true", 0),
            severities=facets.values["severity"],
        )

    @get("/alerts/{id}", access=viewer("alerts:read"))
    async def read(self, call: Call, id: str) -> Reply[AlertView]:
        """One alert."""
        return Reply(data=await view(self._alerts, id))

    @get("/alerts/{id}/timeline", access=viewer("alerts:read"))
    async def timeline(self, call: Call, id: str, query: TimelineQuery) -> Page[EventView]:
        """Everything that happened to an alert, newest first."""
        events = await self._alerts.timeline(id, before=query.cursor, limit=query.limit + 1)
        shown = [
            EventView(**{name: getattr(event, name) for name in EventView.model_fields})
            for event in events[: query.limit]
        ]
        return Page(items=shown, next_cursor=str(shown[-1].id) if len(events) > query.limit else None)

    async def _take(self, call: Call, raw: bytes, read: Callable[..., Received]) -> Accepted:
        self._alerts.require_room()
        understood = partial(
            read,
            raw,
            cluster=call.principal.cluster_id,
            timeouts=self._timeouts,
            now=self._clock.now(),
            drop_labels=self._drop_labels,
            trace=trace.current(),
        )
        # A million wrong values take seconds, and gzip makes them a few KiB.
        received = understood() if len(raw) < LARGE_POST else await asyncio.to_thread(understood)
        await self._alerts.ingest(received.alerts)
        for (source, status), count in Tally((alert.source, alert.status) for alert in received.alerts).items():
            self._received.labels(source, status).inc(count)
        if received.refused:
            first = received.refused[0]
            place = ".".join(map(str, first.loc))
            more = f" (and {len(received.refused) - 1} more)" if len(received.refused) > 1 else ""
            raise Invalid(
                f"{place}: {first.message}{more}{_stored(len(received.alerts))}",
                code="alerts.partly_invalid",
                details=received.refused[:100],
            )
        return Accepted(received=len(received.alerts))


async def view(alerts: Alerts, id: str) -> AlertView:
    """One alert as it is shown. Raises NotFound."""
    (shown,) = await views(alerts, [await alerts.get(id)])
    return shown


async def views(alerts: Alerts, shown: Sequence[Alert]) -> Sequence[AlertView]:
    """Alerts as they are shown."""
    episodes = await alerts.episodes_last_hour(shown)
    return [_view(alert, episodes.get(alert.fingerprint, 0)) for alert in shown]


def _view(alert: Alert, episodes: int) -> AlertView:
    values = asdict(alert)
    return AlertView(
        **{name: values[name] for name in AlertView.model_fields if name in values and name != "ends_at"},
        id=alert.fingerprint,
        severity=alert.severity,
        ends_at=alert.ends_at if alert.status is AlertStatus.RESOLVED else None,
        flapping=episodes >= FLAPPING_FROM,
        episodes_last_hour=episodes,
    )


def _stored(others: int) -> str:
    if others == 0:
        return ""
    return "; the other one is stored" if others == 1 else f"; the other {others} alerts are stored"
