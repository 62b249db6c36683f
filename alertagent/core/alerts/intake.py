"""From what Prometheus, vmalert and Alertmanager post to alerts. Pure.

Two formats: Alertmanager's webhook (version 4) and its API v2. Their senders drop what they get a 4xx for, so one
bad alert never costs its neighbours: each is judged alone, and the answer names those that were refused. A sender
whose clock is ahead of ours means now. Labels in which two senders of the same alert differ, such as `replica`, can be
dropped before the fingerprint is taken.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, TypeAdapter, ValidationError

from alertagent.core.alerts.model import AlertStatus, IncomingAlert
from alertagent.kernel.errors import Detail, Invalid
from alertagent.kernel.labels import fingerprint
from alertagent.web.errors import refusal

_LONGEST_URL = 8192


def _moment(value: datetime) -> datetime | None:
    """Go's zero time (`0001-01-01T00:00:00Z`) means "not set"."""
    if value.year <= 1:
        return None
    try:
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("this time does not exist in UTC") from error


def _texts(values: Mapping[str, str]) -> Mapping[str, str]:
    if any("\x00" in name or "\x00" in value for name, value in values.items()):
        raise ValueError("holds the character U+0000, which cannot be stored")
    return values


def _link(value: Any) -> str:
    """A sender's URL is shown, never trusted, and never a reason to refuse an alert."""
    return value[:_LONGEST_URL].replace("\x00", "") if isinstance(value, str) else ""


Moment = Annotated[datetime, AfterValidator(_moment)]
Texts = Annotated[dict[str, str], AfterValidator(_texts)]
Link = Annotated[str, BeforeValidator(_link)]


class _Posted(BaseModel):
    """What both formats have in common; fields that we do not know are the sender's business."""

    model_config = ConfigDict(extra="ignore")

    labels: Texts
    annotations: Texts | None = None
    startsAt: Moment | None = None  # noqa: N815 - the sender's spelling, here and below
    endsAt: Moment | None = None  # noqa: N815
    generatorURL: Link = ""  # noqa: N815


class WebhookAlert(_Posted):
    status: Literal["firing", "resolved"]


class ApiAlert(_Posted):
    """An alert of API v2: firing unless its end has passed."""


class _Webhook(BaseModel):
    model_config = ConfigDict(extra="ignore")

    version: Literal["4"]
    status: Literal["firing", "resolved"]
    alerts: list[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long silence lasts before it counts as the end of an alert."""

    resolve: timedelta
    stale: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A post taken apart: what can be stored, and why the rest cannot."""

    alerts: tuple[IncomingAlert, ...]
    refused: tuple[Detail, ...]


@dataclass(frozen=True, slots=True)
class _Origin:
    """What all alerts of a post have in common: the door, the cluster of its token, labels to drop, its trace."""

    source: str
    cluster: str | None
    drop_labels: Collection[str]
    trace: str | None


_webhook = TypeAdapter(_Webhook)
_webhook_alert = TypeAdapter(WebhookAlert)
_api_alerts = TypeAdapter(list[Any])
_api_alert = TypeAdapter(ApiAlert)


def read_webhook(
    raw: bytes,
    *,
    cluster: str | None,
    timeouts: Timeouts,
    now: datetime,
    drop_labels: Collection[str] = (),
    trace: str | None = None,
) -> Received:
    """Alertmanager's webhook, version 4. Raises Invalid when it is none at all.

    Source: prometheus/alertmanager, `notify/webhook` and `template.Data`.
    """
    try:
        posted = _webhook.validate_json(raw).alerts
    except ValidationError as error:
        raise refusal(error, _Webhook) from error

    origin = _Origin("webhook", cluster, drop_labels, trace)

    def understood(item: Any) -> IncomingAlert:
        alert = _webhook_alert.validate_python(item)
        if alert.status == "firing":
            # While it fires Alertmanager sends no end, and repeats only every few hours.
            return _firing(alert, origin, min(alert.startsAt or now, now), now + timeouts.stale)
        return _resolved(alert, origin, alert.startsAt or alert.endsAt or now, alert.endsAt or now, now=now)

    return _each(posted, ("alerts",), understood)


def read_api_v2(
    raw: bytes,
    *,
    cluster: str | None,
    timeouts: Timeouts,
    now: datetime,
    drop_labels: Collection[str] = (),
    trace: str | None = None,
) -> Received:
    """Alertmanager's API v2, as Prometheus and vmalert post it. Raises Invalid when it is none at all.

    Source: prometheus/alertmanager, `api/v2` `postAlertsHandler`: an absent start is now (or the end), an absent
    end is now + resolve_timeout, an end in the past resolves.
    """
    try:
        posted = _api_alerts.validate_json(raw)
    except ValidationError as error:
        raise refusal(error) from error

    origin = _Origin("api", cluster, drop_labels, trace)

    def understood(item: Any) -> IncomingAlert:
        alert = _api_alert.validate_python(item)
        if alert.endsAt is not None and alert.endsAt <= now:
            return _resolved(alert, origin, alert.startsAt or alert.endsAt, alert.endsAt, now=now)
        return _firing(alert, origin, min(alert.startsAt or now, now), alert.endsAt or now + timeouts.resolve)

    return _each(posted, (), understood)


def _each(posted: Sequence[Any], loc: tuple[str | int, ...], understood: Any) -> Received:
    alerts: list[IncomingAlert] = []
    refused: list[Detail] = []
    for index, item in enumerate(posted):
        try:
            alerts.append(understood(item))
        except ValidationError as error:
            refused += [Detail((*loc, index, *found.loc), found.message) for found in refusal(error).details]
        except Invalid as problem:
            refused.append(Detail((*loc, index), problem.message))
    return Received(alerts=tuple(alerts), refused=tuple(refused))


def _firing(alert: _Posted, origin: _Origin, starts_at: datetime, ends_at: datetime) -> IncomingAlert:
    return _incoming(alert, origin, AlertStatus.FIRING, (starts_at, ends_at))


def _resolved(
    alert: _Posted, origin: _Origin, starts_at: datetime, ended_at: datetime, *, now: datetime
) -> IncomingAlert:
    if ended_at < starts_at:
        raise Invalid(f"it ends ({ended_at.isoformat()}) before it starts ({starts_at.isoformat()})")
    return _incoming(alert, origin, AlertStatus.RESOLVED, (min(starts_at, now), min(ended_at, now)))


def _incoming(alert: _Posted, origin: _Origin, status: AlertStatus, span: tuple[datetime, datetime]) -> IncomingAlert:
    """A label without a value is no label, as in Alertmanager."""
    labels = {name: value for name, value in alert.labels.items() if value and name not in origin.drop_labels}
    if not labels:
        raise Invalid("an alert needs at least one label with a value")
    if origin.cluster is not None:
        labels.setdefault("cluster", origin.cluster)
    return IncomingAlert(
        fingerprint=fingerprint(labels),
        status=status,
        labels=labels,
        annotations=alert.annotations or {},
        generator_url=alert.generatorURL,
        source=origin.source,
        starts_at=span[0],
        ends_at=span[1],
        trace=origin.trace,
    )
