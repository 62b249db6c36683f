"""Secrets as they lie in the database: sealed with AES-256-GCM under a key that is not there. Pure but for the nonce.

A sealed value is `sealed.1.<id of the key>.<base64 of nonce and ciphertext>`. It opens only in the place that it was
sealed for, so that whoever can write to the database cannot give one row the secrets of another.
"""

import base64
import binascii
import hmac
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Any

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from alertagent.kernel.errors import Unavailable

KEY_BYTES = 32
PREFIX = "sealed.1."
_NONCE_BYTES = 12

Id = str | int


class Unreadable(Unavailable):
    """A secret is there and does not open: its key is missing, or it was damaged or moved.

    Whoever needs it tries again: a key that was forgotten at the start may be there after the next one.
    """

    default_code = "secrets.unreadable"

    def __init__(self, message: str) -> None:
        super().__init__(message, retry_after=timedelta(minutes=5))


class Form(StrEnum):
    """What a column holds while it is in the clear. JSON there is an object, so that a JSON string is a sealed one."""

    JSON = "jsonb"
    TEXT = "text"
    BYTES = "bytea"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column with secrets. `key` names the columns that tell its rows apart, `only` those rows that hold secrets.

    `is_made`: what it holds is made again from the rest when it is gone.
    """

    table: str
    name: str
    key: tuple[str, ...]
    form: Form = Form.JSON
    only: str = "true"
    is_made: bool = False

    def at(self, *ids: Id) -> "Place":
        return Place(column=self, ids=ids)

    def plain(self, value: Any) -> bytes:
        match self.form:
            case Form.JSON:
                return orjson.dumps(value)
            case Form.TEXT:
                return str(value).encode()
            case Form.BYTES:
                return bytes(value)

    def value(self, plain: bytes) -> Any:
        match self.form:
            case Form.JSON:
                return orjson.loads(plain)
            case Form.TEXT:
                return plain.decode()
            case Form.BYTES:
                return plain

    def stored(self, sealed: str) -> str | bytes:
        return sealed.encode() if self.form is Form.BYTES else sealed

    def sealed(self, stored: Any) -> str | None:
        """The sealed value; None where it lies in the clear."""
        if isinstance(stored, bytes) and stored.startswith(PREFIX.encode()):
            return stored.decode("ascii", "replace")
        return stored if isinstance(stored, str) and stored.startswith(PREFIX) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One row of such a column."""

    column: Column
    ids: tuple[Id, ...]

    def __str__(self) -> str:
        ids = ", ".join(f"{name} {id}" for name, id in zip(self.column.key, self.ids, strict=True))
        return f"{self.column.table}.{self.column.name} ({ids})"

    def bound(self, head: str) -> bytes:
        """What is authenticated along with the secret."""
        return orjson.dumps([head, self.column.table, self.column.name, *self.ids])


@dataclass(frozen=True, slots=True)
class Key:
    """A key by its id, which tells nothing of it."""

    id: str
    cipher: AESGCM = field(repr=False, compare=False)

    @classmethod
    def of(cls, secret: bytes) -> "Key":
        return cls(hmac.new(secret, b"alertagent: the id of a key", sha256).hexdigest()[:12], AESGCM(secret))

    def seal(self, plain: bytes, place: Place) -> str:
        head, nonce = f"{PREFIX}{self.id}.", os.urandom(_NONCE_BYTES)
        return head + base64.b64encode(nonce + self.cipher.encrypt(nonce, plain, place.bound(head))).decode()

    def open(self, sealed: str, place: Place) -> bytes:
        """Raises Unreadable."""
        head = f"{PREFIX}{self.id}."
        try:
            raw = base64.b64decode(sealed.removeprefix(head), validate=True)
            return self.cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], place.bound(head))
        except (InvalidTag, ValueError):  # binascii's complaint and that of a nonce too short are ValueErrors
            raise Unreadable(
                f"{place} does not open under key {self.id}: it was damaged, or belongs to another row. "
                "Restore that row from a backup, or set its secrets again"
            ) from None


@dataclass(frozen=True, slots=True)
class Keyring:
    """Keys by their ids; the first one is the one to seal under as soon as every process has it."""

    keys: Mapping[str, Key]

    @classmethod
    def of(cls, secrets: Iterable[bytes]) -> "Keyring":
        return cls({key.id: key for key in map(Key.of, secrets)})

    @property
    def first(self) -> Key:
        return next(iter(self.keys.values()))

    @property
    def ids(self) -> str:
        return ", ".join(self.keys)


def read_keys(text: str) -> Keyring:
    """One key a line; lines that begin with # say something. Raises ValueError, which repeats nothing of it."""
    lines = [line.strip() for line in text.splitlines()]
    secrets = [_secret(number, line) for number, line in enumerate(lines, 1) if line and not line.startswith("#")]
    if not secrets:
        raise ValueError("there is no key in it")
    return Keyring.of(secrets)


def write_key(secret: bytes) -> str:
    """A line for `read_keys`."""
    return base64.b64encode(secret).decode()


def key_of(sealed: str) -> str:
    """The id of the key that a value was sealed under."""
    return sealed.removeprefix(PREFIX).partition(".")[0]


def _secret(number: int, line: str) -> bytes:
    try:
        secret = base64.b64decode(line, validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if len(secret) != KEY_BYTES:
        raise ValueError(
            f"line {number} is not {KEY_BYTES} bytes in base64; make a key with: openssl rand -base64 {KEY_BYTES}"
        )
    return secret
