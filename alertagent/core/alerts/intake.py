"""From what Prometheus, vmalert and Alertmanager post to alerts. Pure.

Two formats: Alertmanager's webhook (version 4) and its API v2. Their senders drop what they get a 4xx for, so one
bad alert never costs its neighbours: each is judged alone, and the answer names those that were refused. A sender
whose clock is ahead of ours means now. Labels in which two senders of the same alert differ, such as `replica`, can be
dropped before the fingerprint is taken.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, FailFast, TypeAdapter, ValidationError

from alertagent.core.alerts.model import AlertStatus, IncomingAlert
from alertagent.kernel.errors import Detail, Invalid
from alertagent.kernel.labels import Labels, fingerprints
from alertagent.web.errors import refusal

_LONGEST_URL = 8192

# No sender has more to say at once; that many texts that are no alerts are sent by mistake, or to keep us busy.
MOST_ALERTS = 100_000

# Each label, annotation and field is one. The largest body of ordinary alerts has half as many; millions only keep busy
# whoever reads them, and everybody else meanwhile.
MOST_VALUES = 1_000_000

# Of one alert. All of it is hashed, stored and sent; what Prometheus makes has tens of labels of tens of characters.
MOST_LABELS = MOST_ANNOTATIONS = 500
# Characters, names and values together.
LONGEST_LABELS, LONGEST_ANNOTATIONS = 128 * 1024, 256 * 1024

# From here on a post is read beside the loop, and others at the same time.
LARGE_POST = 256 * 1024

# Bytes of memory for each such character of a large post, on its way from text to rows; measured.
_MEMORY = {b"{": 550, b"[": 100, b",": 50}
# Of a small one, whatever is no alert is gone before another post is looked at, and each comma takes time to find.
_SMALL_MEMORY = {b"{": 700}

# Of more refusals than these nobody reads the reasons.
WORDED = 100


def _moment(value: datetime) -> datetime | None:
    """Go's zero time (`0001-01-01T00:00:00Z`) means "not set"."""
    if value.year <= 1:
        return None
    try:
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("this time does not exist in UTC") from error


Moment = Annotated[datetime, AfterValidator(_moment)]


class _Posted(BaseModel):
    """What both formats have in common; fields that we do not know are the sender's business.

    Without validators of its own: a function that is called for each field costs more than all the reading.
    """

    model_config = ConfigDict(extra="ignore")

    labels: dict[str, str]
    annotations: dict[str, str] | None = None
    startsAt: datetime | None = None  # noqa: N815 - the sender's spelling, here and below
    endsAt: datetime | None = None  # noqa: N815
    generatorURL: Any = ""  # noqa: N815


class WebhookAlert(_Posted):
    status: Literal["firing", "resolved"]


class ApiAlert(_Posted):
    """An alert of API v2: firing unless its end has passed."""


class _Webhook(BaseModel):
    model_config = ConfigDict(extra="ignore")

    version: Literal["4"]
    status: Literal["firing", "resolved"]
    alerts: list[Any]


class _GoodWebhook(_Webhook):
    """One with which nothing is wrong: read at once instead of alert by alert."""

    alerts: Annotated[list[WebhookAlert], FailFast()]


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


_Span = tuple[AlertStatus, datetime, datetime]
P = TypeVar("P", bound=_Posted)
Item = TypeVar("Item")

_good_webhook = TypeAdapter(_GoodWebhook)
_webhook = TypeAdapter(_Webhook)
_webhook_alert = TypeAdapter(WebhookAlert)
_good_api_alerts = TypeAdapter(Annotated[list[ApiAlert], FailFast()])
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
    _refuse_crowd(raw)
    origin = _Origin("webhook", cluster, drop_labels, trace)

    def span_of(alert: WebhookAlert) -> _Span:
        starts_at, ends_at = _times(alert)
        if alert.status == "firing":
            # While it fires Alertmanager sends no end, and repeats only every few hours.
            return AlertStatus.FIRING, min(starts_at or now, now), now + timeouts.stale
        return _resolved(starts_at or ends_at or now, ends_at or now, now=now)

    try:
        good = _good_webhook.validate_json(raw).alerts
    except ValidationError:
        pass
    else:
        return _received(raw, ("alerts",), _not_too_many(good), origin, span_of)
    try:
        posted = _webhook.validate_json(raw).alerts
    except ValidationError as error:
        raise refusal(error, _Webhook) from error
    return _received(raw, ("alerts",), _each(_webhook_alert, posted), origin, span_of)


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
    _refuse_crowd(raw)
    origin = _Origin("api", cluster, drop_labels, trace)

    def span_of(alert: ApiAlert) -> _Span:
        starts_at, ends_at = _times(alert)
        if ends_at is not None and ends_at <= now:
            return _resolved(starts_at or ends_at, ends_at, now=now)
        return AlertStatus.FIRING, min(starts_at or now, now), ends_at or now + timeouts.resolve

    try:
        good = _good_api_alerts.validate_json(raw)
    except ValidationError:
        pass
    else:
        return _received(raw, (), _not_too_many(good), origin, span_of)
    try:
        posted = _api_alerts.validate_json(raw)
    except ValidationError as error:
        raise refusal(error) from error
    return _received(raw, (), _each(_api_alert, posted), origin, span_of)


def weight(raw: bytes) -> int:
    """About as many bytes of memory as a post takes up until its alerts are stored: many small ones take up most."""
    marks = _MEMORY if len(raw) >= LARGE_POST else _SMALL_MEMORY
    return len(raw) + sum(memory * raw.count(mark) for mark, memory in marks.items())


_UNWORDED = Invalid("it is no alert")


def _refuse_crowd(raw: bytes) -> None:
    """Before anything is made of them: no value stands without one of these marks before it."""
    if len(raw) > MOST_VALUES and (found := sum(map(raw.count, _MEMORY))) > MOST_VALUES:
        raise Invalid(
            f"around {found:,} values: {MOST_VALUES:,} at most are read in one post; send fewer alerts in each",
            code="alerts.too_many",
        )


def _not_too_many(posted: Sequence[Item]) -> Sequence[Item]:
    if len(posted) > MOST_ALERTS:
        raise Invalid(f"{len(posted):,} alerts: {MOST_ALERTS:,} at most are taken in one post", code="alerts.too_many")
    return posted


def _each(reader: TypeAdapter[P], posted: Sequence[Any]) -> Iterator[P | Invalid]:
    worded = 0
    for item in _not_too_many(posted):
        try:
            yield reader.validate_python(item)
        except ValidationError as error:
            worded += 1
            yield refusal(error) if worded <= WORDED else _UNWORDED


def _received(
    raw: bytes,
    loc: tuple[str | int, ...],
    posted: Iterable[P | Invalid],
    origin: _Origin,
    span_of: Callable[[P], _Span],
) -> Received:
    may_hold_nul = b"\\u0000" in raw
    may_be_long = len(raw) > LONGEST_LABELS
    taken: list[tuple[P, Labels, _Span]] = []
    refused: list[Detail] = []
    for index, alert in enumerate(posted):
        if isinstance(alert, Invalid):
            refused += _placed(alert, *loc, index)
            continue
        try:
            if may_hold_nul:
                _refuse_nul(alert)
            _refuse_many(alert)
            if may_be_long:
                _refuse_long(alert)
            span = span_of(alert)
            taken.append((alert, _labels(alert, origin), span))
        except Invalid as problem:
            refused += _placed(problem, *loc, index)
    return Received(alerts=tuple(_incoming(taken, origin)), refused=tuple(refused))


def _placed(problem: Invalid, *loc: str | int) -> list[Detail]:
    found = problem.details or [Detail((), problem.message)]
    return [Detail((*loc, *detail.loc), detail.message) for detail in found]


def _times(alert: _Posted) -> tuple[datetime | None, datetime | None]:
    return _time("startsAt", alert.startsAt), _time("endsAt", alert.endsAt)


def _time(field: str, value: datetime | None) -> datetime | None:
    try:
        return _moment(value) if value is not None else None
    except ValueError as error:
        raise Invalid(str(error), details=[Detail((field,), str(error))]) from error


def _resolved(starts_at: datetime, ended_at: datetime, *, now: datetime) -> _Span:
    if ended_at < starts_at:
        raise Invalid(f"it ends ({ended_at.isoformat()}) before it starts ({starts_at.isoformat()})")
    return AlertStatus.RESOLVED, min(starts_at, now), min(ended_at, now)


def _refuse_nul(alert: _Posted) -> None:
    problem = "holds the character U+0000, which cannot be stored"
    texts = {"labels": alert.labels, "annotations": alert.annotations or {}}
    found = [field for field, pairs in texts.items() if any("\x00" in name + value for name, value in pairs.items())]
    if found:
        raise Invalid(problem, details=[Detail((field,), problem) for field in found])


def _refuse_many(alert: _Posted) -> None:
    if len(alert.labels) > MOST_LABELS:
        raise _too_large("labels", f"{MOST_LABELS} labels at most, and this one has {len(alert.labels):,}")
    if alert.annotations and len(alert.annotations) > MOST_ANNOTATIONS:
        raise _too_large(
            "annotations", f"{MOST_ANNOTATIONS} annotations at most, and this one has {len(alert.annotations):,}"
        )


def _refuse_long(alert: _Posted) -> None:
    if (size := _characters(alert.labels)) > LONGEST_LABELS:
        raise _too_large("labels", f"{LONGEST_LABELS:,} characters of labels at most, and this one has {size:,}")
    if alert.annotations and (size := _characters(alert.annotations)) > LONGEST_ANNOTATIONS:
        raise _too_large(
            "annotations", f"{LONGEST_ANNOTATIONS:,} characters of annotations at most, and this one has {size:,}"
        )


def _characters(pairs: Labels) -> int:
    return sum(map(len, pairs)) + sum(map(len, pairs.values()))


def _too_large(field: str, reason: str) -> Invalid:
    problem = f"an alert may have {reason}"
    return Invalid(problem, code="alerts.too_large", details=[Detail((field,), problem)])


def _labels(alert: _Posted, origin: _Origin) -> Labels:
    """A label without a value is no label, as in Alertmanager."""
    labels = alert.labels
    if origin.drop_labels or "" in labels.values():
        labels = {name: value for name, value in labels.items() if value and name not in origin.drop_labels}
    if not labels:
        raise Invalid("an alert needs at least one label with a value")
    if origin.cluster is not None:
        labels.setdefault("cluster", origin.cluster)
    return labels


def _link(value: Any) -> str:
    """A sender's URL is shown, never trusted, and never a reason to refuse an alert."""
    return value[:_LONGEST_URL].replace("\x00", "") if isinstance(value, str) else ""


def _incoming(taken: Sequence[tuple[_Posted, Labels, _Span]], origin: _Origin) -> Iterator[IncomingAlert]:
    prints = fingerprints([labels for _, labels, _ in taken])
    for fingerprint, (alert, labels, (status, starts_at, ends_at)) in zip(prints, taken, strict=True):
        yield IncomingAlert(
            fingerprint=fingerprint,
            status=status,
            labels=labels,
            annotations=alert.annotations or {},
            generator_url=_link(alert.generatorURL),
            source=origin.source,
            starts_at=starts_at,
            ends_at=ends_at,
            trace=origin.trace,
        )
