"""The task that alerts bring about. Pure."""

from alertagent.queue.kinds import Kind, Payload


class Dispatch(Payload):
    """Put these alerts, by fingerprint, into their groups."""

    alerts: tuple[str, ...]


# The statements that write alerts write its row, too: what is changed here must be changed in queries.sql.
DISPATCH = Kind(queue="notification", type="dispatch", payload=Dispatch, priority=2, max_retry=20)
