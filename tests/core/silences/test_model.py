"""What a silence may be, and what a change of one comes to."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertagent.core.silences.model import OPEN_END, SilenceMatcher, State, agreed, from_now, revised, sent_back
from alertagent.core.silences.recurrence import Window
from alertagent.kernel.errors import Invalid
from tests.core.silences.samples import NOON, at, daily_at, draft, matchers, silence


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


def test_one_that_recurs_is_active_in_its_windows_and_pending_between_them() -> None:
    nightly = silence(ends_at=at(3 * 24 * 60), recurrence=daily_at(14))

    states = [nightly.state(at(minutes)) for minutes in (-1, 0, 119, 120, 179, 180, 26 * 60, 3 * 24 * 60)]

    pending, active, expired = State.PENDING, State.ACTIVE, State.EXPIRED
    assert states == [pending, pending, pending, active, active, pending, active, expired]


def test_the_windows_of_a_silence_are_cut_where_it_begins_and_ends() -> None:
    nightly = silence(starts_at=at(150), ends_at=at(24 * 60 + 130), recurrence=daily_at(14))

    assert (nightly.window(at(140)), nightly.next_window(at(140))) == (None, Window(at(150), at(180)))
    assert nightly.window(at(150)) == Window(at(150), at(180))
    assert nightly.next_window(at(150)) == Window(at(24 * 60 + 120), at(24 * 60 + 130))
    assert (nightly.next_window(at(24 * 60 + 120)), nightly.window(at(24 * 60 + 130))) == (None, None)
    assert (silence().window(at(5)), silence().next_window(at(-5))) == (Window(at(0), at(60)), Window(at(0), at(60)))
    assert (silence().next_window(at(5)), silence().next_window(at(90))) == (None, None)


def test_one_that_recurs_may_leave_its_end_open() -> None:
    terms = agreed(draft(duration=None, recurrence=daily_at(14)), NOON)

    assert (terms.starts_at, terms.ends_at) == (NOON, OPEN_END)
    with pytest.raises(Invalid, match="unless it recurs"):
        agreed(revised(silence(ends_at=OPEN_END, recurrence=daily_at(14)), {"recurrence": None}), NOON)


def test_one_that_never_comes_is_refused() -> None:
    for values in ({"duration": timedelta(hours=2)}, {"starts_at": at(3 * 60), "ends_at": at(24 * 60)}):
        with pytest.raises(Invalid) as refused:
            agreed(draft(recurrence=daily_at(14), **values), NOON)
        assert refused.value.details[0].loc == ("recurrence", "rrule")
    assert agreed(draft(recurrence=daily_at(14), duration=timedelta(minutes=121)), NOON).recurrence == daily_at(14)


def test_another_recurrence_is_another_silence() -> None:
    before = silence(ends_at=at(600), recurrence=daily_at(14))

    assert before.may_become(replace(before.terms, ends_at=at(900)), at(10))
    assert not before.may_become(replace(before.terms, recurrence=daily_at(15)), at(10))
    assert not before.may_become(replace(before.terms, recurrence=None), at(10))


def test_a_start_that_has_lost_its_fraction_on_the_way_is_the_same() -> None:
    before = silence(starts_at=at(0) + timedelta(milliseconds=700))

    assert sent_back(silence().terms, before) == before.terms
    assert sent_back(silence(starts_at=at(1)).terms, before).starts_at == at(1)


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
