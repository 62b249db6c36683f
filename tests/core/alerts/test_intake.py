"""What senders post and what becomes of it; every oddity that was ever seen on the wire is a row."""

import json
import tracemalloc
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertagent.core.alerts.intake import (
    MOST_ALERTS,
    MOST_VALUES,
    WORDED,
    Received,
    Timeouts,
    read_api_v2,
    read_webhook,
    weight,
)
from alertagent.core.alerts.model import AlertStatus, IncomingAlert
from alertagent.kernel.errors import Invalid
from alertagent.kernel.labels import fingerprint
from alertagent.web.routes import LARGE_BODY_LIMIT

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
TIMEOUTS = Timeouts(resolve=timedelta(minutes=5), stale=timedelta(hours=24))
ZERO = "0001-01-01T00:00:00Z"
LABELS = {"alertname": "HostDown", "instance": "a:9100"}
ORDINARY = {
    "status": "firing",
    "labels": {
        "alertname": "HighRequestLatency",
        "severity": "warning",
        "instance": "10.0.17.23:9100",
        "job": "node",
        "cluster": "prod-3",
        "namespace": "payments",
        "team": "sre",
    },
    "annotations": {
        "summary": "Request latency is high on instance 10.0.17.23:9100",
        "description": "p99 latency has been above 500ms for more than 10 minutes; see the runbook",
        "runbook_url": "https://runbooks.example.com/HighRequestLatency",
    },
    "startsAt": "2026-11-22T11:00:00.123456Z",
    "endsAt": "0001-01-01T00:00:00Z",
    "generatorURL": "http://prometheus.example.com:9090/graph?g0.expr=job%3Alatency%3Ap99+%3E+0.5",
}


def at(**offset: float) -> datetime:
    return NOW + timedelta(**offset)


def stamp(**offset: float) -> str:
    return at(**offset).isoformat()


def webhook(*alerts: Any, cluster: str | None = None, **fields: Any) -> Received:
    posted = {"version": "4", "status": "firing", "alerts": list(alerts), **fields}
    return read_webhook(json.dumps(posted).encode(), cluster=cluster, timeouts=TIMEOUTS, now=NOW)


def api_v2(*alerts: Any, cluster: str | None = None) -> Received:
    return read_api_v2(json.dumps(list(alerts)).encode(), cluster=cluster, timeouts=TIMEOUTS, now=NOW)


def only(received: Received) -> IncomingAlert:
    assert received.refused == ()
    (alert,) = received.alerts
    return alert


FIRING, RESOLVED = AlertStatus.FIRING, AlertStatus.RESOLVED


@pytest.mark.parametrize(
    ("fields", "status", "starts_at", "ends_at"),
    [
        ({"status": "firing", "startsAt": stamp(hours=-1), "endsAt": ZERO}, FIRING, at(hours=-1), at(hours=24)),
        ({"status": "firing", "startsAt": stamp(hours=-1)}, FIRING, at(hours=-1), at(hours=24)),
        ({"status": "firing"}, FIRING, NOW, at(hours=24)),
        ({"status": "firing", "startsAt": ZERO}, FIRING, NOW, at(hours=24)),
        ({"status": "firing", "startsAt": None, "endsAt": None}, FIRING, NOW, at(hours=24)),
        # While it fires, whatever stands in endsAt means nothing.
        ({"status": "firing", "endsAt": stamp(hours=-1)}, FIRING, NOW, at(hours=24)),
        ({"status": "firing", "startsAt": stamp(hours=1)}, FIRING, NOW, at(hours=24)),
        (
            {"status": "resolved", "startsAt": stamp(hours=-1), "endsAt": stamp(minutes=-1)},
            RESOLVED,
            at(hours=-1),
            at(minutes=-1),
        ),
        ({"status": "resolved", "startsAt": stamp(hours=-1), "endsAt": ZERO}, RESOLVED, at(hours=-1), NOW),
        ({"status": "resolved"}, RESOLVED, NOW, NOW),
        ({"status": "resolved", "endsAt": stamp(minutes=-5)}, RESOLVED, at(minutes=-5), at(minutes=-5)),
        # The sender's clock is ahead of ours by more than the alert lasted.
        ({"status": "resolved", "startsAt": stamp(minutes=1), "endsAt": stamp(minutes=2)}, RESOLVED, NOW, NOW),
    ],
)
def test_the_times_of_a_webhook(
    fields: dict[str, Any], status: AlertStatus, starts_at: datetime, ends_at: datetime
) -> None:
    alert = only(webhook({"labels": LABELS, **fields}))

    assert (alert.status, alert.starts_at, alert.ends_at) == (status, starts_at, ends_at)


@pytest.mark.parametrize(
    ("fields", "status", "starts_at", "ends_at"),
    [
        ({}, FIRING, NOW, at(minutes=5)),
        ({"startsAt": ZERO, "endsAt": ZERO}, FIRING, NOW, at(minutes=5)),
        ({"startsAt": stamp(hours=-1)}, FIRING, at(hours=-1), at(minutes=5)),
        ({"startsAt": stamp(hours=-1), "endsAt": stamp(minutes=4)}, FIRING, at(hours=-1), at(minutes=4)),
        ({"startsAt": stamp(minutes=1), "endsAt": stamp(minutes=4)}, FIRING, NOW, at(minutes=4)),
        ({"endsAt": stamp(minutes=4)}, FIRING, NOW, at(minutes=4)),
        ({"startsAt": stamp(hours=-1), "endsAt": stamp(seconds=-1)}, RESOLVED, at(hours=-1), at(seconds=-1)),
        ({"endsAt": stamp(seconds=-1)}, RESOLVED, at(seconds=-1), at(seconds=-1)),
        ({"endsAt": stamp()}, RESOLVED, NOW, NOW),
        ({"endsAt": "9999-12-31T23:59:59Z"}, FIRING, NOW, datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ({"startsAt": "1677-09-21T00:00:00Z"}, FIRING, datetime(1677, 9, 21, tzinfo=UTC), at(minutes=5)),
    ],
)
def test_the_times_of_api_v2(
    fields: dict[str, Any], status: AlertStatus, starts_at: datetime, ends_at: datetime
) -> None:
    alert = only(api_v2({"labels": LABELS, **fields}))

    assert (alert.status, alert.starts_at, alert.ends_at) == (status, starts_at, ends_at)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-22T19:30:00+08:00", datetime(2026, 11, 22, 11, 30, tzinfo=UTC)),
        ("2026-11-22T11:30:00.123456789Z", datetime(2026, 11, 22, 11, 30, 0, 123456, tzinfo=UTC)),
        ("2026-11-22T11:30:00", datetime(2026, 11, 22, 11, 30, tzinfo=UTC)),
        ("2026-11-22 11:30:00Z", datetime(2026, 11, 22, 11, 30, tzinfo=UTC)),
        ("0001-01-01T00:00:00+08:00", NOW),
    ],
)
def test_a_time_may_be_written_in_many_ways(text: str, moment: datetime) -> None:
    assert only(api_v2({"labels": LABELS, "startsAt": text})).starts_at == moment


@pytest.mark.parametrize(
    ("labels", "stored"),
    [
        ({"a": "b", "empty": ""}, {"a": "b"}),
        ({"a b": "c", "标签": "值", "x.y": "😀"}, {"a b": "c", "标签": "值", "x.y": "😀"}),
        ({"a": "x" * 100_000}, {"a": "x" * 100_000}),
        ({"a": "\n\t\x01"}, {"a": "\n\t\x01"}),
    ],
)
def test_labels_are_kept_as_they_are_but_for_empty_ones(labels: dict[str, str], stored: dict[str, str]) -> None:
    alert = only(api_v2({"labels": labels}))

    assert (alert.labels, alert.fingerprint) == (stored, fingerprint(stored))


def test_alerts_of_a_pair_that_differ_only_in_dropped_labels_are_one_alert() -> None:
    posted = [{"labels": {**LABELS, "replica": replica}} for replica in ("a", "b")]

    received = read_api_v2(
        json.dumps(posted).encode(), cluster=None, timeouts=TIMEOUTS, now=NOW, drop_labels={"replica", "unknown"}
    )

    assert {alert.fingerprint for alert in received.alerts} == {fingerprint(LABELS)}
    assert all(alert.labels == LABELS for alert in received.alerts)


def test_an_alert_of_which_nothing_is_left_is_refused() -> None:
    posted = {"version": "4", "status": "firing", "alerts": [{"status": "firing", "labels": {"replica": "a"}}]}

    received = read_webhook(
        json.dumps(posted).encode(), cluster="c1", timeouts=TIMEOUTS, now=NOW, drop_labels={"replica"}
    )

    assert [finding.loc for finding in received.refused] == [("alerts", 0)]


def test_a_dropped_cluster_makes_the_one_of_the_token_count() -> None:
    posted = [{"labels": {**LABELS, "cluster": "own"}}]

    received = read_api_v2(
        json.dumps(posted).encode(), cluster="c1", timeouts=TIMEOUTS, now=NOW, drop_labels={"cluster"}
    )

    assert only(received).labels["cluster"] == "c1"


@pytest.mark.parametrize(
    ("labels", "cluster", "stored"),
    [({}, "c1", "c1"), ({"cluster": "own"}, "c1", "own"), ({"cluster": ""}, "c1", "c1"), ({}, None, None)],
)
def test_the_cluster_of_the_token_is_the_one_of_an_alert_that_names_none(
    labels: dict[str, str], cluster: str | None, stored: str | None
) -> None:
    for received in (
        api_v2({"labels": {**LABELS, **labels}}, cluster=cluster),
        webhook({"status": "firing", "labels": {**LABELS, **labels}}, cluster=cluster),
    ):
        assert only(received).labels.get("cluster") == stored


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://prom/graph?g0.expr=up", "http://prom/graph?g0.expr=up"),
        ("not a url", "not a url"),
        (None, ""),
        (5, ""),
        ({"a": []}, ""),
        ("a\x00b", "ab"),
        ("x" * 10_000, "x" * 8192),
    ],
)
def test_a_link_is_never_a_reason_to_refuse(url: Any, shown: str) -> None:
    assert only(api_v2({"labels": LABELS, "generatorURL": url})).generator_url == shown


def test_what_the_sender_adds_is_its_own_business() -> None:
    extra = {"fingerprint": "lies", "silenced": True, "10": [{}], "value": 10**300, "nan": None}

    by_webhook = only(webhook({"status": "firing", "labels": LABELS, **extra}, receiver=7, groupKey=[], more={"a": 1}))
    by_api = only(api_v2({"labels": LABELS, **extra}))

    assert by_webhook.fingerprint == by_api.fingerprint == fingerprint(LABELS)
    assert (by_webhook.source, by_api.source) == ("webhook", "api")


BAD: list[tuple[Any, tuple[str | int, ...]]] = [
    ({}, ("labels",)),
    ({"labels": None}, ("labels",)),
    ({"labels": {}}, ()),
    ({"labels": {"a": ""}}, ()),
    ({"labels": {"a": 1}}, ("labels", "a")),
    ({"labels": {"a": None}}, ("labels", "a")),
    ({"labels": {"a": "b\x00"}}, ("labels",)),
    ({"labels": {"a\x00": "b"}}, ("labels",)),
    ({"labels": ["a"]}, ("labels",)),
    ({"labels": LABELS, "annotations": {"a": 1}}, ("annotations", "a")),
    ({"labels": LABELS, "annotations": {"a": "\x00"}}, ("annotations",)),
    ({"labels": LABELS, "startsAt": "yesterday"}, ("startsAt",)),
    ({"labels": LABELS, "startsAt": "10000-01-01T00:00:00Z"}, ("startsAt",)),
    ({"labels": LABELS, "startsAt": 10**200}, ("startsAt",)),
    ({"labels": LABELS, "startsAt": "9999-12-31T23:59:59-23:00"}, ("startsAt",)),
    ({"labels": LABELS, "startsAt": {}}, ("startsAt",)),
    ({"labels": LABELS, "startsAt": stamp(minutes=-1), "endsAt": stamp(minutes=-2), "status": "resolved"}, ()),
    ("an alert", ()),
    (None, ()),
    ([], ()),
]


@pytest.mark.parametrize(("alert", "loc"), BAD)
def test_one_bad_alert_costs_its_neighbours_nothing(alert: Any, loc: tuple[str | int, ...]) -> None:
    good = {"status": "firing", "labels": LABELS}
    bad = {"status": "firing", **alert} if isinstance(alert, dict) else alert

    by_webhook, by_api = webhook(good, bad, good), api_v2(good, bad, good)

    assert len(by_webhook.alerts) == len(by_api.alerts) == 2
    assert by_webhook.refused[0].loc[: 2 + len(loc)] == ("alerts", 1, *loc)
    assert by_api.refused[0].loc[: 1 + len(loc)] == (1, *loc)


_NAMES = st.sampled_from(["alertname", "a", "replica", "标签"])
_GOOD = st.fixed_dictionaries(
    {
        "labels": st.dictionaries(_NAMES, st.text(max_size=3), max_size=3),
        "status": st.sampled_from(["firing", "resolved"]),
    },
    optional={
        "annotations": st.none() | st.dictionaries(_NAMES, st.text(max_size=3), max_size=2),
        "startsAt": st.sampled_from([None, ZERO, stamp(hours=-1), stamp(hours=1), "9999-12-31T23:59:59-23:00"]),
        "endsAt": st.sampled_from([None, ZERO, stamp(minutes=-90), stamp(hours=2), 1_700_000_000]),
        "generatorURL": st.sampled_from(["http://prom", 5, None]),
        "x": st.none(),
    },
)


@given(st.lists(_GOOD, max_size=12))
def test_an_alert_is_read_the_same_whatever_is_wrong_with_its_neighbours(alerts: list[Any]) -> None:
    for read in (webhook, api_v2):
        alone, beside = read(*alerts), read(*alerts, "an alert")

        assert beside.alerts == alone.alerts
        assert beside.refused[:-1] == alone.refused


@pytest.mark.parametrize("status", [None, "", "Firing", "suppressed", 1])
def test_a_webhook_must_say_what_became_of_each_alert(status: Any) -> None:
    received = webhook({"labels": LABELS, "status": status}, {"labels": LABELS})

    assert [found.loc for found in received.refused] == [("alerts", 0, "status"), ("alerts", 1, "status")]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"{}",
        b'{"version": "4", "status": "firing"}',
        b'{"version": "3", "status": "firing", "alerts": []}',
        b'{"version": 4, "status": "firing", "alerts": []}',
        b'{"version": "4", "status": "on", "alerts": []}',
        b'{"version": "4", "status": "firing", "alerts": {}}',
        b'{"version": "4", "status": "firing", "alerts": null}',
        b"\xff\xfe",
        b'{"version": "4", "status": "firing", "alerts": [' + b"[" * 100_000,
        b'{"version": "4", "status": "firing", "alerts": [{"labels": {"a": "\\ud800"}}]}',
    ],
)
def test_what_is_no_webhook_is_refused_as_a_whole(raw: bytes) -> None:
    with pytest.raises(Invalid):
        read_webhook(raw, cluster=None, timeouts=TIMEOUTS, now=NOW)


@pytest.mark.parametrize("raw", [b"", b"{}", b"null", b"[", b"7", b"[" * 100_000])
def test_what_is_no_list_of_alerts_is_refused_as_a_whole(raw: bytes) -> None:
    with pytest.raises(Invalid):
        read_api_v2(raw, cluster=None, timeouts=TIMEOUTS, now=NOW)


def test_an_empty_post_is_fine() -> None:
    assert webhook() == api_v2() == Received(alerts=(), refused=())


_JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(max_size=5),
        st.sampled_from([ZERO, stamp()]),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=8,
)
_ALERT = st.dictionaries(
    st.sampled_from(["labels", "annotations", "startsAt", "endsAt", "generatorURL", "status", "x"]), _JSON
)


@given(st.lists(st.one_of(_JSON, _ALERT), max_size=4))
def test_each_alert_of_any_post_is_either_taken_or_named(alerts: list[Any]) -> None:
    received = read_api_v2(json.dumps(alerts).encode(), cluster=None, timeouts=TIMEOUTS, now=NOW)

    assert len(received.alerts) + len({found.loc[0] for found in received.refused}) == len(alerts)


@pytest.mark.parametrize("post", [webhook, api_v2])
def test_of_very_many_refusals_the_first_say_why_and_all_are_counted(post: Any) -> None:
    good = {"labels": LABELS, "status": "firing"}

    received = post(*[{}] * (WORDED + 50), good)

    assert len(received.alerts) == 1
    assert len(received.refused) >= WORDED + 50
    assert "no alert" not in received.refused[0].message
    assert received.refused[-1].message == "it is no alert"


@pytest.mark.parametrize("alert", [{"labels": LABELS, "status": "firing"}, {}], ids=["good", "bad"])
@pytest.mark.parametrize("post", [webhook, api_v2])
def test_nobody_has_that_many_alerts_at_once(post: Any, alert: Any) -> None:
    with pytest.raises(Invalid, match="100,000 at most") as refused:
        post(*[alert] * (MOST_ALERTS + 1))

    assert refused.value.code == "alerts.too_many"


@pytest.mark.parametrize("read", [read_webhook, read_api_v2])
@pytest.mark.parametrize("values", [b"1,", b"{},", b"[],"])
def test_millions_of_values_are_refused_before_they_are_read(read: Any, values: bytes) -> None:
    raw = b'[{"labels": {"a": "b"}, "junk": [' + values * MOST_VALUES + b"1"  # as JSON it is not even whole

    with pytest.raises(Invalid, match="1,000,000 at most are read in one post") as refused:
        read(raw, cluster=None, timeouts=TIMEOUTS, now=NOW)

    assert refused.value.code == "alerts.too_many"


def test_the_largest_body_of_ordinary_alerts_holds_half_as_many_values() -> None:
    ordinary = json.dumps(ORDINARY).encode()

    assert sum(map(ordinary.count, (b",", b"{", b"["))) * (LARGE_BODY_LIMIT // len(ordinary)) < MOST_VALUES * 0.6


@pytest.mark.parametrize("post", [webhook, api_v2])
@pytest.mark.parametrize(
    ("field", "pairs", "problem"),
    [
        ("labels", {f"l{number}": "x" for number in range(501)}, "500 labels at most, and this one has 501"),
        ("labels", {"l": "标" * 131_072}, "131,072 characters of labels at most, and this one has 131,073"),
        ("labels", {"l" * 131_072: "x"}, "131,072 characters of labels at most, and this one has 131,073"),
        ("annotations", {f"a{number}": "" for number in range(501)}, "500 annotations at most, and this one has 501"),
        ("annotations", {"a": "x" * 262_144}, "262,144 characters of annotations at most, and this one has 262,145"),
    ],
)
def test_an_alert_that_is_too_large_is_refused_and_its_neighbours_are_not(
    post: Any, field: str, pairs: dict[str, str], problem: str
) -> None:
    good = {"labels": LABELS, "status": "firing"}

    received = post(good, {**good, field: pairs}, good)

    assert len(received.alerts) == 2
    (refused,) = received.refused
    assert (refused.loc[-2:], refused.message) == ((1, field), f"an alert may have {problem}")


@pytest.mark.parametrize("post", [webhook, api_v2])
def test_an_alert_as_large_as_may_be_is_taken(post: Any) -> None:
    labels = {f"l{number:03}": "标" for number in range(499)} | {"last": "x" * (131_072 - 499 * 5 - 4)}
    annotations = {f"a{number:03}": "" for number in range(499)} | {"last": "x" * (262_144 - 499 * 4 - 4)}

    alert = only(post({"labels": labels, "annotations": annotations, "status": "firing"}))

    assert (alert.labels, alert.annotations) == (labels, annotations)


@pytest.mark.parametrize("count", [100, 2_000], ids=["small", "large"])
@pytest.mark.parametrize("alert", [ORDINARY, {"labels": {"a": "b"}, "status": "firing"}], ids=["ordinary", "tiny"])
def test_a_post_weighs_about_what_it_takes_up(alert: dict[str, Any], count: int) -> None:
    posted = [{**alert, "labels": {**alert["labels"], "number": str(number)}} for number in range(count)]
    raw = json.dumps(posted).encode()
    tracemalloc.start()
    try:
        received = read_api_v2(raw, cluster=None, timeouts=TIMEOUTS, now=NOW)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert len(received.alerts) == count
    assert 0.5 < weight(raw) / (most + len(raw)) < 2
