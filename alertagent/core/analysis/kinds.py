"""The tasks of analysing. Pure."""

from typing import Literal

from alertagent.queue.kinds import Kind, Payload


class Analyze(Payload):
    """Make an attempt at a run, which has the task's id; the alert is the one that the analyzer is asked about."""

    alert_id: str
    episode: int
    analysis_type: Literal["root_cause"] = "root_cause"


class GiveUp(Payload):
    """End a run whose callback has not come."""

    run: str


ANALYZE = Kind(queue="ai_analysis", type="ai_analysis", payload=Analyze, priority=1, max_retry=3)
GIVE_UP = Kind(queue="ai_analysis", type="ai_deadline", payload=GiveUp, priority=2, max_retry=20)
