"""What the headers of any request say."""

import re

import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st

from alertagent.web.call import Call, open_call

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def opened(**headers: str) -> Call:
    return open_call(
        make_mocked_request("GET", "/", {name.replace("_", "-"): value for name, value in headers.items()})
    )


@pytest.mark.parametrize("id", ["a", "req-1", "01a204e3-3503-7f11-8305-727b2f64ea40", "a/b:c.d_e", "x" * 128])
def test_a_request_id_that_looks_like_one_is_kept(id: str) -> None:
    assert opened(X_Request_ID=id).request_id == id


@pytest.mark.parametrize("id", ["", " ", "x" * 129, "a b", "a\tb", "é", "a;b", "<script>", "${jndi:ldap://x}"])
def test_any_other_is_replaced(id: str) -> None:
    made = opened(X_Request_ID=id).request_id

    assert made != id
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", made)


def test_a_trace_is_carried_on() -> None:
    assert opened(traceparent=TRACE).trace == TRACE


@pytest.mark.parametrize(
    "trace",
    [
        "",
        "x",
        TRACE.upper(),
        f"{TRACE}-more",
        f"ff{TRACE[2:]}",
        TRACE.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32),
        TRACE.replace("00f067aa0ba902b7", "0" * 16),
        f" {TRACE}x",
    ],
)
def test_a_broken_trace_is_replaced_by_a_new_one(trace: str) -> None:
    made = opened(traceparent=trace).trace

    assert made != trace
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", made)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("*", None),
        (" * ", None),
        ('"7"', {7}),
        ('"7", "8"', {7, 8}),
        ('"7","8" ,"9"', {7, 8, 9}),
        ('"7-active"', {7}),
        ('"1-inactive", "2-pending"', {1, 2}),
        ('W/"7"', {-1}),
        ('W/"7", "8"', {8}),
        ("7", {-1}),
        ("", {-1}),
        ('""', {-1}),
        ('"x"', {-1}),
        ('"-1"', {-1}),
        ('"1.0"', {-1}),
        ('"9999999999"', {-1}),
        ("garbage", {-1}),
    ],
)
def test_if_match_names_revisions_and_garbage_none_that_can_be(header: str, expected: set[int] | None) -> None:
    assert opened(If_Match=header).expected == expected


def test_without_if_match_any_revision_will_do() -> None:
    assert opened().expected is None


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ('"3"', True),
        ('W/"3"', True),
        ('"1", "3"', True),
        ('"1",W/"3"', True),
        ("*", True),
        ("3", True),
        ('"33"', False),
        ('"3-active"', False),
        ("", False),
        (",", False),
        ('w/"3"', False),
        ('"1" "3"', False),
    ],
)
def test_if_none_match_compares_weakly(header: str, expected: bool) -> None:
    assert opened(If_None_Match=header).knows("3") is expected


@given(st.text(max_size=50), st.text(max_size=50), st.text(max_size=50))
def test_no_header_can_break_a_call(match: str, none: str, id: str) -> None:
    call = opened(If_Match=match, If_None_Match=none, X_Request_ID=id, traceparent=id)

    assert call.expected is None or all(isinstance(revision, int) for revision in call.expected)
