import pytest

from alertagent.plugins.analyzers.events import MAX_LINE, EventReader, TooLong

STREAM = 'data: {"a": 1}\n\nevent: ping\n\n: comment\nevent: x\r\ndata: 一\r\ndata:two\r\n\r\ndata: unfinished'.encode()


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_events_are_the_same_however_the_stream_is_cut(size: int) -> None:
    reader = EventReader()

    events = [event for start in range(0, len(STREAM), size) for event in reader.feed(STREAM[start : start + size])]

    assert events == [("message", '{"a": 1}'), ("ping", ""), ("x", "一\ntwo")]


def test_a_line_without_an_end_is_not_kept_for_ever() -> None:
    with pytest.raises(TooLong):
        list(EventReader().feed(b"x" * (MAX_LINE + 1)))
