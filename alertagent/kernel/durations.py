"""Durations as Prometheus writes them: `5m`, `1d12h`, `0`; never `90` or `1.5h`."""

import re
from datetime import timedelta
from functools import lru_cache

_UNITS = (
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
)
# Units may be left out but not reordered or repeated: `12h1d` is refused by Prometheus.
_PATTERN = re.compile("".join(f"(?:([0-9]+){unit}(?![a-z]))?" for unit, _ in _UNITS))
_MAX_MILLISECONDS = (2**63 - 1) // 1_000_000  # Prometheus counts nanoseconds in an int64


def parse_duration(text: str) -> timedelta:
    """Read a Prometheus duration. Raises ValueError with the reason."""
    if text == "0":
        return timedelta()
    match = _PATTERN.fullmatch(text) if text else None
    if match is None:
        raise ValueError(f"not a duration: {text[:40]!r}; write it as 30s, 5m or 1d12h, largest unit first")
    if max(map(len, filter(None, match.groups()))) > 19:
        raise ValueError(f"duration out of range: {text[:40]!r}")
    total = sum(int(count) * size for count, (_, size) in zip(match.groups(default="0"), _UNITS, strict=True))
    if total > _MAX_MILLISECONDS:
        raise ValueError(f"duration out of range: {text!r}")
    return timedelta(milliseconds=total)


@lru_cache(maxsize=1024)
def format_duration(duration: timedelta) -> str:
    """The canonical text, as Prometheus prints it: years and weeks only where nothing remains (`12d`, not `1w5d`)."""
    rest = duration // timedelta(milliseconds=1)
    text = ""
    for unit, size in _UNITS:
        if unit in {"y", "w"} and rest % size:
            continue
        count, rest = divmod(rest, size)
        if count:
            text += f"{count}{unit}"
    return text or "0s"
