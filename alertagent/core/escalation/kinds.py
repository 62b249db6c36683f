"""The task of escalation. Pure."""

from alertagent.queue.kinds import Kind, Payload


class Escalate(Payload):
    """Look at these episodes, each a fingerprint and a number, and tell of those that nobody acknowledged."""

    episodes: tuple[tuple[str, int], ...]


ESCALATE = Kind(queue="notification", type="escalate", payload=Escalate, priority=2, max_retry=20)
