"""What an action means for an alert, as a table."""

import pytest

from alertagent.core.alerts.actions import Action, Effect, Standing, Verb, effect

DONE, UNCHANGED, REFUSED = Effect.DONE, Effect.UNCHANGED, Effect.REFUSED


def standing(*, firing: bool = True, by: str | None = None, to: str | None = None) -> Standing:
    return Standing(fingerprint="a", episode=1, is_firing=firing, acknowledged_by=by, assigned_to=to)


@pytest.mark.parametrize(
    ("verb", "stands", "expected"),
    [
        (Verb.ACK, standing(), DONE),
        (Verb.ACK, standing(by="anna"), UNCHANGED),
        (Verb.ACK, standing(firing=False), REFUSED),
        (Verb.ACK, standing(firing=False, by="anna"), REFUSED),
        (Verb.UNACK, standing(by="anna"), DONE),
        (Verb.UNACK, standing(), UNCHANGED),
        (Verb.UNACK, standing(firing=False, by="anna"), REFUSED),
        (Verb.RESOLVE, standing(), DONE),
        (Verb.RESOLVE, standing(by="anna"), DONE),
        (Verb.RESOLVE, standing(firing=False), UNCHANGED),
        (Verb.COMMENT, standing(), DONE),
        (Verb.COMMENT, standing(firing=False), DONE),
        (Verb.ASSIGN, standing(), DONE),
        (Verb.ASSIGN, standing(to="bob"), DONE),
        (Verb.ASSIGN, standing(to="anna"), UNCHANGED),
        (Verb.ASSIGN, standing(firing=False), DONE),
    ],
)
def test_what_an_action_does_to_an_alert(verb: Verb, stands: Standing, expected: Effect) -> None:
    assert effect(Action(verb=verb, assignee="anna"), stands) is expected


def test_an_assignment_can_be_taken_back_once() -> None:
    take_back = Action(verb=Verb.ASSIGN, assignee=None)

    assert [effect(take_back, standing(to=to)) for to in ("anna", None)] == [DONE, UNCHANGED]
