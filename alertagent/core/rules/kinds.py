"""The tasks that a changed rule brings about. Pure."""

from alertagent.queue.kinds import Kind, Payload


class RuleChanged(Payload):
    """A rule was changed; `targets` are all that it had before or has now."""

    rule_id: str
    targets: tuple[str, ...]


def _kind(type: str) -> Kind[RuleChanged]:
    return Kind(queue="config_sync", type=type, payload=RuleChanged, priority=1, max_retry=3)


# By the word for the change.
RULE_CHANGED = {
    "created": _kind("rule_create"),
    "updated": _kind("rule_update"),
    "deleted": _kind("rule_delete"),
}
