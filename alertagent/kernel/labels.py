"""Label sets and the fingerprint by which Alertmanager knows an alert."""

from collections.abc import Mapping

Labels = Mapping[str, str]

_OFFSET, _PRIME, _MASK = 14695981039346656037, 1099511628211, 0xFFFF_FFFF_FFFF_FFFF
_SEPARATOR = b"\xff"


def fingerprint(labels: Labels) -> str:
    """FNV-1a 64 over the sorted names and values, each followed by 0xFF, as 16 hex digits.

    The same as `model.LabelSet.Fingerprint` of prometheus/common, so that an alert has one identity here and
    in Alertmanager. Byte order sorts, as in Go.
    """
    pairs = sorted((name.encode(), value.encode()) for name, value in labels.items())
    total = _OFFSET
    for byte in b"".join(name + _SEPARATOR + value + _SEPARATOR for name, value in pairs):
        total = (total ^ byte) * _PRIME & _MASK
    return f"{total:016x}"


def is_legacy_name(name: str) -> bool:
    """Whether Prometheus before 3.0 takes this as the name of a label: letters, digits and _, no digit first."""
    return name.isascii() and name.isidentifier()
