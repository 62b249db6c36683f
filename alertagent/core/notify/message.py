"""From a planned delivery to the messages that a plugin is given. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from typing import Any

from alertagent.core.alerts.model import Alert, AnalysisStatus
from alertagent.core.notify.links import page_links
from alertagent.core.notify.model import ESCALATION, Delivery, PlannedAlert
from alertagent.kernel.language import Language
from alertagent.kernel.message import Message, MessageAlert, MessageGroup, PageLinks, Thread
from alertagent.plugins.vocabulary import shown_time, words

# The annotations in which people write what happened, best first.
_CONTENT = ("description", "summary", "message")


def messages(
    delivery: Delivery,
    alerts: Iterable[Alert],
    *,
    max_alerts: int | None,
    external_url: str,
    thread: Thread | None = None,
    page_url: str = "",
    language: Language = Language.EN,
) -> list[Message]:
    """The parts of a delivery: one message, or several where a channel cannot name that many alerts in one.

    An alert is told in the state in which it was planned, with the annotations that it has now. A thread that is over
    ends with the last part. `page_url` is where people open AlertAgent's page, empty where nobody knows.
    """
    known = {alert.fingerprint: alert for alert in alerts}
    told = [_message_alert(planned, known[planned.fingerprint]) for planned in delivery.alerts]
    if not delivery.is_digest:  # which tells what is oldest first
        told.sort(key=lambda alert: (alert.status, alert.starts_at, alert.fingerprint))
    size = max_alerts or max(len(told), 1)
    parts = [told[start : start + size] for start in range(0, len(told), size)]
    ids = (f"{delivery.id}-{index}" if index else delivery.id for index in range(len(parts)))
    found = [
        _message(delivery, part, part_id=id, external_url=external_url, page_url=page_url, language=language)
        for id, part in zip(ids, parts, strict=True)
    ]
    analysis = _analysis(delivery, known)
    if analysis is not None and not delivery.is_digest:  # whose alerts have nothing in common
        found = [replace(message, extra={**message.extra, "analysis": analysis}) for message in found]
    if thread is not None:
        going_on = replace(thread, is_over=False)
        found = [*(replace(message, thread=going_on) for message in found[:-1]), replace(found[-1], thread=thread)]
    if not delivery.is_digest:
        return found
    return [_late(part, told, place, len(parts)) for place, part in enumerate(found, start=1)]


def _late(message: Message, told: Sequence[MessageAlert], place: int, parts: int) -> Message:
    """A part of a digest, under words that say what it is."""
    said = words(message.language)
    firing = sum(alert.status == "firing" for alert in told)
    title = said.late.format(count=len(told), s="s" if len(told) > 1 else "")
    oldest = shown_time(message.language, told[0].starts_at)
    return replace(
        message,
        title=said.part.format(title=title, place=place, parts=parts) if parts > 1 else title,
        content=said.late_because.format(firing=firing, over=len(told) - firing, oldest=oldest),
        extra={"digest": True},
        links=PageLinks(alert=message.links.alert),  # what else there is belongs to one of its groups
    )


def _message(
    delivery: Delivery,
    alerts: Sequence[MessageAlert],
    *,
    part_id: str,
    external_url: str,
    page_url: str,
    language: Language,
) -> Message:
    first = alerts[0]
    group = MessageGroup(
        key=delivery.group_key,
        receiver=delivery.receiver,
        status="firing" if any(alert.status == "firing" for alert in alerts) else "resolved",
        labels=delivery.group_labels,
        common_labels=_common(alert.labels for alert in alerts),
        common_annotations=_common(alert.annotations for alert in alerts),
        alerts=tuple(alerts),
        external_url=external_url,
    )
    name = first.labels.get("alertname") or "alert"
    title = name if len(alerts) == 1 else f"{name} ({len(alerts)})"
    why = _why(delivery)
    if why:
        word = words(language).escalated if "escalated" in why else words(language).assigned
        title = word.format(title=title, by=delivery.assigned_by)
    return Message(
        id=part_id,
        title=title,
        content=next(_contents(first.annotations), ""),
        severity=first.labels.get("severity", ""),
        alert_id=first.fingerprint,
        timestamp=first.starts_at,
        labels=first.labels,
        annotations=first.annotations,
        group=group,
        extra=why,
        language=language,
        links=page_links(page_url, alerts, group.common_labels),
    )


def _why(delivery: Delivery) -> Mapping[str, Any]:
    """What brought the message about, where that is no route. The end of an assignment has nobody who assigned it."""
    if delivery.receiver == ESCALATION:
        return {"escalated": True}
    return {} if delivery.assigned_by is None else {"assigned_by": delivery.assigned_by}


def _analysis(delivery: Delivery, known: Mapping[str, Alert]) -> Mapping[str, Any] | None:
    """What an analyzer found about an alert of this delivery that still fires; alerts of a group have it in common."""
    for planned in delivery.alerts:
        alert = known[planned.fingerprint]
        is_meant = planned.status == "firing" and planned.episode == alert.episode
        if is_meant and alert.analysis_status is AnalysisStatus.ANALYZED:
            return alert.analysis_result
    return None


def _message_alert(planned: PlannedAlert, alert: Alert) -> MessageAlert:
    return MessageAlert(
        fingerprint=planned.fingerprint,
        status=planned.status,
        labels=alert.labels,
        annotations=alert.annotations,
        starts_at=planned.starts_at,
        ends_at=planned.ends_at,
        generator_url=alert.generator_url,
    )


def _contents(annotations: Mapping[str, str]) -> Iterator[str]:
    yield from (annotations[name] for name in _CONTENT if annotations.get(name))


def _common(sets: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """What all of them say alike."""
    first, *others = sets
    return reduce(lambda left, right: dict(left.items() & right.items()), others, dict(first))
