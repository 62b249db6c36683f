"""Durations as Prometheus reads and writes them; the table is what promtool 2.x and 3.x say."""

import asyncio
import json
import re
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertagent.kernel.durations import format_duration, parse_duration

GOOD = {
    "0": timedelta(),
    "0s": timedelta(),
    "30s": timedelta(seconds=30),
    "5m": timedelta(minutes=5),
    "1h30m": timedelta(hours=1, minutes=30),
    "1d12h": timedelta(days=1, hours=12),
    "1w": timedelta(weeks=1),
    "1y": timedelta(days=365),
    "1ms": timedelta(milliseconds=1),
    "1m1ms": timedelta(minutes=1, milliseconds=1),
    "100s": timedelta(seconds=100),
    "0000000000000000005m": timedelta(minutes=5),
    "1y2w3d4h5m6s7ms": timedelta(days=365 + 14 + 3, hours=4, minutes=5, seconds=6, milliseconds=7),
    "106751d": timedelta(days=106751),
    "292y": timedelta(days=292 * 365),
}

BAD = [
    "",
    " ",
    "12h1d",
    "1h30",
    "1.5h",
    "90",
    "00",
    "-5m",
    "+5m",
    "5 m",
    " 5m",
    "5m ",
    "5m\n",
    "5M",
    "5min",
    "5m5m",
    "m",
    "1s1m",
    "1ms1s",
    "5µs",
    "5us",
    "٥m",
    "1e3s",
    "infinity",
    "5m\x00",
    "293y",
    "106752d",
    "9223372036855s",
    "99999999999999999999ms",
    "9" * 5000 + "s",
]


@pytest.mark.parametrize(("text", "expected"), GOOD.items())
def test_what_prometheus_takes_is_read(text: str, expected: timedelta) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize("text", BAD, ids=lambda text: repr(text[:20]))
def test_what_prometheus_refuses_is_refused_with_a_short_reason(text: str) -> None:
    with pytest.raises(ValueError, match="duration") as caught:
        parse_duration(text)

    assert len(str(caught.value)) < 200


@pytest.mark.monitoring
async def test_promtool_takes_and_refuses_the_same(tmp_path: Path) -> None:
    texts = [text for text in [*GOOD, *BAD] if text]  # an empty one means "left out" in a rule file
    for number, text in enumerate(texts):
        rule = {"alert": "A", "expr": "up", "for": text}
        (tmp_path / f"{number}.yml").write_text(json.dumps({"groups": [{"name": "g", "rules": [rule]}]}))

    files = [f"{number}.yml" for number in range(len(texts))]
    process = await asyncio.create_subprocess_exec(
        "promtool",
        "check",
        "rules",
        *files,
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said = b"".join(await process.communicate()).decode()

    taken = {texts[int(number)] for number in re.findall(r"Checking (\d+)\.yml\n  SUCCESS", said)}
    assert taken == set(GOOD)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("0", "0s"),
        ("60s", "1m"),
        ("90s", "1m30s"),
        ("7d", "1w"),
        ("12d", "12d"),
        ("365d", "1y"),
        ("366d", "366d"),
        ("52w", "52w"),
        ("1d12h", "1d12h"),
        ("36h", "1d12h"),
        ("1500ms", "1s500ms"),
        ("1y1w", "372d"),
    ],
)
def test_the_canonical_text_is_what_prometheus_prints(text: str, canonical: str) -> None:
    assert format_duration(parse_duration(text)) == canonical


@given(st.integers(min_value=0, max_value=9_223_372_036_854))
def test_every_duration_survives_being_written_and_read(milliseconds: int) -> None:
    duration = timedelta(milliseconds=milliseconds)

    assert parse_duration(format_duration(duration)) == duration
