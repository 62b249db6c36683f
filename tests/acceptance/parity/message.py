"""What a sink got, with everything taken off in which two runs of the same scenario differ. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tests.acceptance.parity.scenario import Labels

_NEVER = datetime(1, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageAlert:
    """`starts` and `ends` name the post that said so; what still fires has no end."""

    status: str
    labels: Labels
    annotations: Labels
    starts: str
    ends: str
    generator_url: str
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A webhook of either server. Addresses of the servers themselves are left out."""

    version: str
    receiver: str
    status: str
    group_key: str
    group_labels: Labels
    common_labels: Labels
    common_annotations: Labels
    truncated_alerts: int
    alerts: Sequence[MessageAlert]

    @property
    def group(self) -> tuple[str, str]:
        return self.receiver, self.group_key

    def with_status(self, status: str) -> list[Labels]:
        return [alert.labels for alert in self.alerts if alert.status == status]

    def __str__(self) -> str:
        firing, resolved = (", ".join(map(_shown, self.with_status(status))) for status in ("firing", "resolved"))
        return f"{self.receiver} of {self.group_key}: firing [{firing}], resolved [{resolved}]"


def read(body: Mapping[str, Any], moments: Mapping[datetime, str]) -> Message:
    """`moments` has names for the times that were posted. The alerts come in the order of their labels."""
    alerts = [_alert(alert, moments) for alert in body["alerts"]]
    return Message(
        version=body["version"],
        receiver=body["receiver"],
        status=body["status"],
        group_key=body["groupKey"],
        group_labels=body["groupLabels"],
        common_labels=body["commonLabels"],
        common_annotations=body["commonAnnotations"],
        truncated_alerts=body["truncatedAlerts"],
        alerts=sorted(alerts, key=lambda alert: sorted(alert.labels.items())),
    )


def _alert(alert: Mapping[str, Any], moments: Mapping[datetime, str]) -> MessageAlert:
    return MessageAlert(
        status=alert["status"],
        labels=alert["labels"],
        annotations=alert["annotations"],
        starts=_name(alert["startsAt"], moments),
        ends=_name(alert["endsAt"], moments),
        generator_url=alert["generatorURL"],
        fingerprint=alert["fingerprint"],
    )


def _name(text: str, moments: Mapping[datetime, str]) -> str:
    moment = datetime.fromisoformat(text)
    return "" if moment == _NEVER else moments.get(moment, "a time of the server's own")


def _shown(labels: Labels) -> str:
    return " ".join(value for name, value in labels.items() if name != "scenario")
