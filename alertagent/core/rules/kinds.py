"""The tasks that changed rules bring about. Pure."""

from alertagent.queue.kinds import Kind, Payload


class RulesChanged(Payload):
    """Rules were changed; `targets` are all that they had before or have now. `rule_id` where it was one rule."""

    targets: tuple[str, ...]
    rule_id: str | None = None
    rules: int = 1


def _kind(type: str) -> Kind[RulesChanged]:
    return Kind(queue="config_sync", type=type, payload=RulesChanged, priority=1, max_retry=3)


CREATED, UPDATED, DELETED = _kind("rule_create"), _kind("rule_update"), _kind("rule_delete")

# Many rules at once.
CHANGED = _kind("rules_change")

KINDS = (CREATED, UPDATED, DELETED, CHANGED)
