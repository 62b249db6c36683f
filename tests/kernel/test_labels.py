"""Fingerprints, against a second implementation and against Alertmanager itself."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertagent.kernel.labels import Labels, fingerprint, fingerprints, is_legacy_name
from tests.support.prometheus import free_port

LABEL_SETS: list[Labels] = [
    {},
    {"alertname": "HostDown"},
    {"alertname": "HostDown", "instance": "n1:9100", "job": "node"},
    {"job": "node", "instance": "n1:9100", "alertname": "HostDown"},
    {"a": "bc", "ab": "c"},
    {"alertname": "磁盘已满", "team": "运维", "emoji": "🔥"},
    {"alertname": "A", "empty_looking": " ", "newline": "a\nb", "quote": '"\\'},
    {"alertname": "A", "A": "upper", "_a": "underscore", "a1": "digit", "a": "lower"},
    {"alertname": "A", "é": "latin", "z": "ascii", "𐀀": "astral", "\ufffd": "bmp"},
    {"alertname": "x" * 5000},
]


def reference(labels: Labels) -> str:
    """hash/fnv's New64a as prometheus/common feeds it, one byte at a time."""
    total = 0xCBF29CE484222325
    for name in sorted(labels, key=lambda text: text.encode()):
        for text in (name, labels[name]):
            for byte in (*text.encode(), 0xFF):
                total ^= byte
                total = (total * 0x100000001B3) % 2**64
    return format(total, "016x")


def test_no_labels_hash_to_the_offset() -> None:
    assert fingerprint({}) == "cbf29ce484222325"


@pytest.mark.parametrize("labels", LABEL_SETS, ids=range(len(LABEL_SETS)))
def test_a_fingerprint_is_fnv_1a_over_the_sorted_labels(labels: Labels) -> None:
    assert fingerprint(labels) == reference(labels)


@given(st.lists(st.dictionaries(st.text(max_size=3), st.text(max_size=40), max_size=4), max_size=30))
def test_many_at_once_have_the_fingerprints_that_each_has_alone(sets: list[dict[str, str]]) -> None:
    assert fingerprints(sets) == [reference(labels) for labels in sets]


def test_texts_of_any_length_go_side_by_side() -> None:
    sets = [{"alertname": "x" * length} for length in (0, 5000, 3, 3, 1000, 1013, 1014, *range(600))]

    assert fingerprints(sets) == [reference(labels) for labels in sets]


def test_the_order_of_labels_does_not_matter_and_their_borders_do() -> None:
    assert fingerprint({"a": "1", "b": "2"}) == fingerprint({"b": "2", "a": "1"})
    assert fingerprint({"a": "bc"}) != fingerprint({"ab": "c"})
    assert fingerprint({"a": "b", "c": ""}) != fingerprint({"a": "b"})


@pytest.mark.monitoring
async def test_alertmanager_gives_the_same_fingerprints(tmp_path: Path) -> None:
    sets = [labels for labels in LABEL_SETS if labels and all(map(is_legacy_name, labels))]
    posted = [{"labels": labels, "endsAt": (datetime.now(UTC) + timedelta(hours=1)).isoformat()} for labels in sets]

    seen = {
        json.dumps(a["labels"], sort_keys=True): a["fingerprint"] for a in await through_alertmanager(tmp_path, posted)
    }

    assert seen == {json.dumps(labels, sort_keys=True): fingerprint(labels) for labels in sets}


async def through_alertmanager(directory: Path, alerts: Sequence[Mapping[str, object]]) -> list[dict[str, str]]:
    """What a real Alertmanager shows of these alerts after they were posted to it."""
    config = directory / "alertmanager.yml"
    config.write_text("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
    url = f"http://127.0.0.1:{(port := free_port())}"
    process = await asyncio.create_subprocess_exec(
        "prometheus-alertmanager",
        f"--config.file={config}",
        f"--storage.path={directory / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stderr is not None
        async with asyncio.timeout(20):
            while b"Listening on" not in (line := await process.stderr.readline()):
                assert line, "Alertmanager ended"
        async with aiohttp.ClientSession(raise_for_status=True) as session:
            async with session.post(f"{url}/api/v2/alerts", json=alerts):
                pass
            async with session.get(f"{url}/api/v2/alerts") as response:
                shown: list[dict[str, str]] = await response.json()
                return shown
    finally:
        process.kill()
        await process.wait()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("alertname", True),
        ("_", True),
        ("__name__", True),
        ("A1", True),
        ("", False),
        ("1a", False),
        ("a-b", False),
        ("a.b", False),
        ("é", False),
        ("a\n", False),
        ("a b", False),
    ],
)
def test_a_legacy_name_is_letters_digits_and_underscores(name: str, expected: bool) -> None:
    assert is_legacy_name(name) is expected
