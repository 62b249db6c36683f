"""What a silence may be, and what a change of one comes to."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertagent.core.silences.model import OPEN_END, SilenceMatcher, State, agreed, from_now, revised
from alertagent.kernel.errors import Invalid
from tests.core.silences.samples import NOON, at, draft, matchers, silence


@pytest.mark.parametrize(
    ("now", "state"),
    [(-1, State.PENDING), (0, State.ACTIVE), (59.9, State.ACTIVE), (60, State.EXPIRED), (61, State.EXPIRED)],
)
def test_the_state_follows_from_the_times(now: float, state: State) -> None:
    assert silence().state(at(now)) is state


@pytest.mark.parametrize(
    ("values", "starts_at", "ends_at"),
    [
        ({"duration": timedelta(minutes=5)}, at(0), at(5)),
        ({"ends_at": at(30)}, at(0), at(30)),
        ({"starts_at": at(10), "ends_at": at(30)}, at(10), at(30)),
        ({"starts_at": at(10), "duration": timedelta(minutes=5)}, at(10), at(15)),
        # From now, for nothing can be muted before.
        ({"starts_at": at(-10), "duration": timedelta(minutes=5)}, at(-10), at(5)),
    ],
)
def test_a_draft_comes_to_two_times(values: dict[str, Any], starts_at: datetime, ends_at: datetime) -> None:
    terms = agreed(draft(**values), NOON)

    assert (terms.starts_at, terms.ends_at) == (starts_at, ends_at)
    assert from_now(terms, NOON).starts_at == max(starts_at, NOON)


@pytest.mark.parametrize(
    ("values", "place", "reason"),
    [
        ({"ends_at": at(0)}, "ends_at", "after starts_at"),
        ({"starts_at": at(10), "ends_at": at(10)}, "ends_at", "after starts_at"),
        ({"starts_at": at(10), "ends_at": at(5)}, "ends_at", "after starts_at"),
        ({"starts_at": at(-10), "ends_at": at(-5)}, "ends_at", "past"),
        ({"starts_at": at(-10), "ends_at": at(0)}, "ends_at", "past"),
        ({"ends_at": None}, "ends_at", "duration"),
        ({"ends_at": OPEN_END}, "ends_at", "2100"),
        ({"matchers": ()}, "matchers", "empty string"),
        ({"matchers": matchers('a=""')}, "matchers", "empty string"),
        ({"matchers": matchers('a=~".*"', 'b=""')}, "matchers", "empty string"),
        ({"matchers": matchers('a="b"') * 101}, "matchers", "at most 100"),
    ],
)
def test_what_cannot_be_a_silence(values: dict[str, Any], place: str, reason: str) -> None:
    with pytest.raises(Invalid, match=reason) as refused:
        agreed(draft(**values), NOON)

    assert refused.value.details[0].loc == (place,)


def test_one_matcher_that_wants_something_is_enough() -> None:
    for text in ('a="b"', 'a=~".+"', 'a!="b"', 'a!~"b"', 'a!=""'):
        assert len(agreed(draft(text, 'b=""'), NOON).matchers) == 2


@pytest.mark.parametrize(
    ("now", "changes", "in_place"),
    [
        # While it mutes, its end may move, and what people wrote.
        (10, {"ends_at": at(90)}, True),
        (10, {"ends_at": at(11)}, True),
        (10, {"comment": "longer", "created_by": "ben"}, True),
        (10, {"starts_at": at(0) + timedelta(milliseconds=500)}, True),
        (10, {"starts_at": at(1)}, False),
        (10, {"starts_at": at(20)}, False),
        (10, {"matchers": matchers('alertname="Other"')}, False),
        (10, {"matchers": matchers('alertname="DiskFull"', 'a="b"')}, False),
        # Before it begins, its start, too.
        (-10, {"starts_at": at(-5)}, True),
        (-10, {"starts_at": at(30)}, True),
        (-10, {"ends_at": at(30)}, True),
        (-10, {"starts_at": at(-11)}, False),
        (-10, {"matchers": matchers('alertname="Other"')}, False),
        # Once it has expired it stays what it was.
        (60, {"ends_at": at(90)}, False),
        (60, {"comment": "later"}, False),
    ],
)
def test_what_has_been_muted_stays_on_record(now: float, changes: dict[str, Any], in_place: bool) -> None:
    before = silence()

    assert before.may_become(replace(before.terms, **changes), at(now)) is in_place


def test_the_order_of_matchers_is_no_change() -> None:
    before = silence('a="b"', 'c="d"')

    assert before.may_become(silence('c="d"', 'a="b"').terms, at(10))


def test_a_change_replaces_what_is_given() -> None:
    before = silence(ends_at=at(60))

    longer = agreed(revised(before, {"duration": timedelta(hours=2)}), at(30))
    said = agreed(revised(before, {"comment": "still"}), at(30))
    later = agreed(revised(before, {"duration": timedelta(hours=2)}), at(-30))

    assert (longer.starts_at, longer.ends_at) == (NOON, at(150))
    assert (said.ends_at, said.comment, said.matchers) == (at(60), "still", before.matchers)
    assert (later.starts_at, later.ends_at) == (NOON, at(120))


@pytest.mark.parametrize(
    ("regex", "equal", "text"),
    [(False, True, 'a="b"'), (False, False, 'a!="b"'), (True, True, 'a=~"b"'), (True, False, 'a!~"b"')],
)
def test_a_matcher_comes_in_the_form_of_alertmanagers_api(regex: bool, equal: bool, text: str) -> None:
    assert SilenceMatcher.of("a", "b", is_regex=regex, is_equal=equal) == SilenceMatcher.parse(text)


def test_a_matcher_without_a_name_or_with_a_broken_expression_is_none() -> None:
    with pytest.raises(ValueError, match="empty"):
        SilenceMatcher.of("", "b")
    with pytest.raises(ValueError, match="regular expression"):
        SilenceMatcher.of("a", "(", is_regex=True)


def test_a_long_list_of_hosts_is_one_expression() -> None:
    hosts = "|".join(f"host-{number:04}" for number in range(1000))

    assert SilenceMatcher.parse(f'instance=~"{hosts}"').matches({"instance": "host-0999"})


@given(name=st.text(min_size=1), value=st.text(), equal=st.booleans())
def test_a_matcher_is_read_back_from_how_it_is_written(name: str, value: str, equal: bool) -> None:
    matcher = SilenceMatcher.of(name, value, is_equal=equal)

    assert SilenceMatcher.parse(str(matcher)) == matcher
