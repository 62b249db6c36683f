"""The message that tries a channel out. Pure."""

from datetime import datetime

from alertagent.kernel.ids import new_id
from alertagent.kernel.language import Language
from alertagent.kernel.message import Message, MessageAlert, MessageGroup
from alertagent.plugins.vocabulary import words


def trial(now: datetime, language: Language) -> Message:
    """Marked as what it is, so that nobody gets up."""
    labels = {"alertname": "AlertAgentTest", "severity": "info"}
    annotations = {"summary": words(language).test}
    alert = MessageAlert(fingerprint="0" * 16, status="firing", labels=labels, annotations=annotations, starts_at=now)
    group = MessageGroup(
        key="test",
        receiver="test",
        status="firing",
        labels={},
        common_labels=labels,
        common_annotations=annotations,
        alerts=(alert,),
    )
    return Message(
        id=new_id(),
        title="AlertAgentTest",
        content=annotations["summary"],
        severity="info",
        alert_id=alert.fingerprint,
        timestamp=now,
        labels=labels,
        annotations=annotations,
        group=group,
        extra={"test": True},
        language=language,
    )
