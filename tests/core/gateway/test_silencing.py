"""Silences in Alertmanager's form: read, refused, shown, picked and sorted."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from alertagent.core.gateway.model import read_filter
from alertagent.core.gateway.silencing import Refusal, in_order, is_meant, read, require_uuid, shown
from alertagent.kernel.errors import Invalid
from tests.core.silences.samples import NOON, at, silence

POSTED: Mapping[str, Any] = {
    "id": "01a20567-2085-790e-8405-53c844613db1",
    "matchers": [
        {"name": "alertname", "value": "DiskFull", "isRegex": False},
        {"name": "instance", "value": "db-.*", "isRegex": True, "isEqual": True},
        {"name": "team", "value": "web", "isRegex": False, "isEqual": False},
        {"name": "zone", "value": "a|b", "isRegex": True, "isEqual": False},
    ],
    "startsAt": "2026-11-28T12:00:00.000Z",
    "endsAt": "2026-11-28T15:00:00+01:00",
    "createdBy": "ann",
    "comment": "a new disk comes",
}


def body(**changes: Any) -> bytes:
    """What is posted, with these changes; None leaves a field out."""
    values = {**POSTED, **changes}
    return json.dumps({name: value for name, value in values.items() if value is not None}).encode()


def test_a_posted_silence_is_read_as_it_stands() -> None:
    id, draft = read(body())

    assert id == POSTED["id"]
    assert [str(matcher) for matcher in draft.matchers] == [
        'alertname="DiskFull"',
        'instance=~"db-.*"',
        'team!="web"',
        'zone!~"a|b"',
    ]
    assert (draft.starts_at, draft.ends_at) == (
        datetime(2026, 11, 28, 12, tzinfo=UTC),
        datetime(2026, 11, 28, 14, tzinfo=UTC),
    )
    assert (draft.created_by, draft.comment) == ("ann", "a new disk comes")


def test_a_silence_without_an_id_is_a_new_one() -> None:
    assert read(body(id=None))[0] == ""


def test_fields_that_nobody_knows_are_passed_over() -> None:
    id, _ = read(body(status={"state": "active"}, updatedAt="2026-11-28T12:00:00.000Z", annotations={}))

    assert id == POSTED["id"]


def test_no_time_at_all_is_not_set() -> None:
    _, draft = read(body(startsAt="0001-01-01T00:00:00Z"))

    assert draft.starts_at is None


@pytest.mark.parametrize(
    ("sent", "code", "status", "message"),
    [
        (b"", 602, 422, "silence in body is required"),
        (b"  ", 602, 422, "silence in body is required"),
        (b"null", 602, 422, "comment in body is required"),
        (b"{}", 602, 422, "comment in body is required"),
        (body(createdBy=None), 602, 422, "createdBy in body is required"),
        (body(matchers=[{}]), 602, 422, "matchers.0.isRegex in body is required"),
        (
            body(matchers=[{"isRegex": False, "value": "a", "name": None}]),
            602,
            422,
            "matchers.0.name in body is required",
        ),
        (body(matchers=[]), 612, 422, "matchers in body should have at least 1 items"),
        (body(comment=None, createdBy=5), 400, 400, 'parsing silence body from "" failed, because createdBy: '),
        (body(startsAt="soon"), 400, 400, 'parsing silence body from "" failed, because startsAt: '),
        (body(comment="\x00"), 400, 400, "comment: holds the character U+0000, which cannot be stored"),
        (b"{", 400, 400, 'parsing silence body from "" failed, because Invalid JSON: '),
    ],
)
def test_what_is_no_silence_is_refused_as_go_refuses_it(sent: bytes, code: int, status: int, message: str) -> None:
    with pytest.raises(Refusal) as refused:
        read(sent)

    assert (refused.value.code, refused.value.status) == (code, status)
    assert message in refused.value.message


@pytest.mark.parametrize(
    ("matcher", "reason"),
    [
        ({"name": "", "value": "a", "isRegex": False}, "silence invalid: invalid label matcher 0: "),
        ({"name": "a", "value": "(", "isRegex": True}, "missing"),
    ],
)
def test_a_matcher_that_cannot_be_is_refused_in_words(matcher: Mapping[str, Any], reason: str) -> None:
    with pytest.raises(Invalid, match=reason):
        read(body(matchers=[matcher]))


def test_a_limit_of_ours_is_told_in_words() -> None:
    with pytest.raises(Invalid, match=r"^silence invalid: at most 100 matchers$"):
        read(body(matchers=[{"isRegex": False, "name": "a", "value": "b"}] * 101))


@pytest.mark.parametrize("id", ["01a20567-2085-790e-8405-53c844613db1", "01A205672085790E840553C844613DB1"])
def test_a_uuid_is_one_in_any_case_and_without_lines(id: str) -> None:
    require_uuid(id)


@pytest.mark.parametrize(
    "id", ["", "none", "01a20567-2085-790e-8405-53c844613db", "01a20567-2085-790e-8405-53c844613db1\n"]
)
def test_what_is_no_uuid_is_refused_by_number(id: str) -> None:
    with pytest.raises(Refusal) as refused:
        require_uuid(id)

    assert (refused.value.code, refused.value.status) == (601, 422)


def test_a_silence_is_shown_with_its_state() -> None:
    told = silence('a="b"', 'c!~"d|e"', id="s1", updated_at=at(1.5))

    assert shown(told, at(5)) == {
        "id": "s1",
        "status": {"state": "active"},
        "updatedAt": "2026-11-22T12:01:30.000Z",
        "comment": "repair",
        "createdBy": "anna",
        "endsAt": "2026-11-22T13:00:00.000Z",
        "matchers": [
            {"isEqual": True, "isRegex": False, "name": "a", "value": "b"},
            {"isEqual": False, "isRegex": True, "name": "c", "value": "d|e"},
        ],
        "startsAt": "2026-11-22T12:00:00.000Z",
    }
    assert [shown(told, at(minutes))["status"]["state"] for minutes in (-1, 60)] == ["pending", "expired"]


def test_what_is_shown_can_be_posted_again() -> None:
    told = silence('a="b"', 'c!~"d|e"', id="s1")

    id, draft = read(json.dumps(shown(told, NOON)).encode())

    assert (id, set(draft.matchers)) == ("s1", set(told.matchers))
    assert (draft.starts_at, draft.ends_at) == (told.starts_at, told.ends_at)


@pytest.mark.parametrize(
    ("filter", "meant"),
    [
        ([], True),
        (["a=b"], True),
        (["a=b", 'c=~"d|e"'], True),
        (["a=~b"], False),
        (["a=b", "c=d"], False),
        (["c=~d"], False),
        (["a!=c"], False),
    ],
)
def test_a_filter_picks_silences_by_the_words_of_their_matchers(filter: list[str], meant: bool) -> None:
    assert is_meant(silence('a="b"', 'c=~"d|e"'), read_filter(filter)) is meant


def test_silences_stand_by_state_and_by_what_happens_next() -> None:
    named = {
        "over long ago": silence(id="1", ends_at=at(-60)),
        "over": silence(id="2", ends_at=at(-1)),
        "later": silence(id="3", starts_at=at(60), ends_at=at(70)),
        "soon": silence(id="4", starts_at=at(30), ends_at=at(90)),
        "long": silence(id="5", ends_at=at(90)),
        "short": silence(id="6", ends_at=at(5)),
    }

    order = {silence.id: name for name, silence in named.items()}
    assert [order[silence.id] for silence in in_order(named.values(), NOON)] == [
        "short",
        "long",
        "soon",
        "later",
        "over",
        "over long ago",
    ]
