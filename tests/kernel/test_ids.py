"""Identifiers that sort by time."""

from uuid import UUID

import pytest

from alertagent.kernel.ids import new_id, uuid7


def test_the_example_of_the_rfc_comes_out() -> None:
    # RFC 9562, appendix A.6: unix_ts_ms 0x017F22E279B0, rand_a 0xCC3, rand_b 0x18C4DC0C0C07398F
    random = (0xCC3 << 64 | 0x18C4DC0C0C07398F).to_bytes(10, "big")

    assert uuid7(0x017F22E279B0, random) == UUID("017f22e2-79b0-7cc3-98c4-dc0c0c07398f")


@pytest.mark.parametrize("random", [bytes(10), b"\xff" * 10], ids=["zeros", "ones"])
@pytest.mark.parametrize("milliseconds", [0, 1, 1_700_000_000_000, 2**48 - 1])
def test_version_and_variant_stand_whatever_the_random_bits_are(milliseconds: int, random: bytes) -> None:
    made = uuid7(milliseconds, random)

    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert made.int >> 80 == milliseconds


def test_later_ids_sort_after_earlier_ones_as_text() -> None:
    earlier, later = uuid7(1_700_000_000_000, b"\xff" * 10), uuid7(1_700_000_000_001, bytes(10))

    assert str(earlier) < str(later)


def test_fresh_ids_differ() -> None:
    assert len({new_id() for _ in range(1000)}) == 1000
