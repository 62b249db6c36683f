"""The task of analysing. Pure."""

from typing import Literal

from alertagent.queue.kinds import Kind, Payload


class Analyze(Payload):
    """Analyse an alert, by fingerprint, in one of its episodes."""

    alert_id: str
    episode: int
    analysis_type: Literal["root_cause"] = "root_cause"


ANALYZE = Kind(queue="ai_analysis", type="ai_analysis", payload=Analyze, priority=1, max_retry=3)
