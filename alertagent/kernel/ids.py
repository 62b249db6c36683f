"""Identifiers: UUIDs of version 7, which sort by the time they were made, and short names for long texts."""

import hashlib
import os
import time
from uuid import UUID


def uuid7(milliseconds: int, random: bytes) -> UUID:
    """Build the UUID of RFC 9562, section 5.7, from a Unix time in milliseconds and 10 random bytes."""
    return UUID(int=_number(milliseconds, random))


def _number(milliseconds: int, random: bytes) -> int:
    value = (milliseconds & 0xFFFF_FFFF_FFFF) << 80 | int.from_bytes(random, "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    return value & ~(0x3 << 62) | 0x2 << 62


def new_id(random: bytes | None = None) -> str:
    """A fresh identifier, as text; from these 10 bytes, or from the system's best."""
    digits = f"{_number(time.time_ns() // 1_000_000, random or os.urandom(10)):032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def digest(text: str) -> str:
    """The same 32 hex digits for the same text, whatever its length; nobody can read the text out of them."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
