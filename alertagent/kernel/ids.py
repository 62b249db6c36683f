"""Identifiers: UUIDs of version 7, which sort by the time they were made."""

import os
import time
from uuid import UUID


def uuid7(milliseconds: int, random: bytes) -> UUID:
    """Build the UUID of RFC 9562, section 5.7, from a Unix time in milliseconds and 10 random bytes."""
    value = (milliseconds & 0xFFFF_FFFF_FFFF) << 80 | int.from_bytes(random, "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    return UUID(int=value & ~(0x3 << 62) | 0x2 << 62)


def new_id() -> str:
    """A fresh identifier, as text."""
    return str(uuid7(time.time_ns() // 1_000_000, os.urandom(10)))
