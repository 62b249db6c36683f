"""What people may do with an alert, and what that means for one that stands as it does. Pure.

Whatever is done belongs to the episode that is current or was the last: a new episode begins unattended.
"""

from dataclasses import dataclass, field
from enum import StrEnum


class Verb(StrEnum):
    """What can be done."""

    ACK = "ack"
    UNACK = "unack"
    RESOLVE = "resolve"
    COMMENT = "comment"
    ASSIGN = "assign"

    @property
    def event(self) -> str:
        """The word for it in the timeline and in the audit log."""
        return _EVENTS[self]


_EVENTS = {
    Verb.ACK: "acknowledged",
    Verb.UNACK: "unacknowledged",
    Verb.RESOLVE: "resolved",
    Verb.COMMENT: "commented",
    Verb.ASSIGN: "assigned",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One thing that somebody wants done. `assignee` matters for ASSIGN only; None takes the assignment back."""

    verb: Verb
    comment: str = ""
    assignee: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What of an alert decides whether something can be done with it."""

    fingerprint: str
    episode: int
    is_firing: bool
    acknowledged_by: str | None
    assigned_to: str | None


class Effect(StrEnum):
    DONE = "done"
    UNCHANGED = "unchanged"
    REFUSED = "refused"


@dataclass(slots=True, kw_only=True)
class Handled:
    """What became of an action on several alerts: fingerprints, for those that failed with the reason."""

    done: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


NOT_FIRING = "it does not fire any more, so there is nothing to acknowledge"


def effect(action: Action, standing: Standing) -> Effect:
    """What an action does to an alert that stands so.

    A second acknowledgement changes nothing: whoever was first stays the one to ask. To take an alert over is to
    assign it.
    """
    match action.verb:
        case Verb.ACK | Verb.UNACK if not standing.is_firing:
            return Effect.REFUSED
        case Verb.ACK:
            is_done = standing.acknowledged_by is None
        case Verb.UNACK:
            is_done = standing.acknowledged_by is not None
        case Verb.RESOLVE:
            is_done = standing.is_firing
        case Verb.ASSIGN:
            is_done = standing.assigned_to != action.assignee
        case Verb.COMMENT:
            is_done = True
    return Effect.DONE if is_done else Effect.UNCHANGED
