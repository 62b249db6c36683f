"""Tokens: how they look, what they open. Pure.

    aa_<kind>_<8 characters of id>_<32 random><8 of checksum>

The prefix lets secret scanners find a leaked one, the id finds its row, the checksum refuses typing mistakes
without a look at the database. 32 characters of 5 bits are 160 bits of entropy, so a plain SHA-256 is kept.
"""

import hashlib
import re
import zlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from alertagent.web.access import Principal, Role

_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
_TOKEN = re.compile(r"(?P<body>aa_[a-z]+_(?P<id>[a-z2-7]{8})_[a-z2-7]{32})(?P<checksum>[0-9a-f]{8})")

ENTROPY_BYTES = 40

SCOPES = frozenset(
    f"{area}:{verb}"
    for area in (
        "rules",
        "clusters",
        "configs",
        "alerts",
        "silences",
        "routing",
        "channels",
        "deliveries",
        "analyzers",
        "analysis",
        "tasks",
    )
    for verb in ("read", "write", "*")
) | {"alerts:ack", "ingest"}
CLUSTER_ID = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
_OF_TOKEN = re.compile(r" \([a-z2-7]{8}\)$")
_SYNC_SCOPE = re.compile(rf"sync:(\*|{CLUSTER_ID})")


class Kind(StrEnum):
    """What a token is for, so that a reader of a log or a list knows at once."""

    API = "api"
    INGEST = "ingest"
    SIDECAR = "sidecar"


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token as it is kept: without its secret."""

    id: str
    name: str
    kind: Kind
    role: Role | None
    scopes: tuple[str, ...]
    cluster_id: str | None
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None

    def is_valid(self, now: datetime) -> bool:
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    @property
    def principal(self) -> Principal:
        return Principal(
            id=f"token:{self.id}",
            name=f"{self.name} ({self.id})",
            role=self.role,
            scopes=frozenset(self.scopes),
            cluster_id=self.cluster_id,
        )


def compose(kind: Kind, random: bytes) -> tuple[str, str]:
    """A token's id and text from 40 random bytes."""
    letters = "".join(_ALPHABET[byte & 31] for byte in random)
    id, body = letters[:8], f"aa_{kind}_{letters[:8]}_{letters[8:]}"
    return id, body + _checksum(body)


def id_of(token: str) -> str | None:
    """The id inside a token; None when this is no token of ours or was mistyped."""
    match = _TOKEN.fullmatch(token)
    return match["id"] if match is not None and match["checksum"] == _checksum(match["body"]) else None


def holder(name: str) -> str:
    """The name of a principal without the token's id: whom the token was named after."""
    return _OF_TOKEN.sub("", name)


def digest(token: str) -> bytes:
    """What is kept of a token. A header's bytes that are no UTF-8 reach us as lone surrogates."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def is_scope(scope: str) -> bool:
    return scope in SCOPES or _SYNC_SCOPE.fullmatch(scope) is not None


def kind_of(scopes: tuple[str, ...]) -> Kind:
    """What a token with these scopes is for."""
    if scopes == ("ingest",):
        return Kind.INGEST
    if scopes and all(scope.startswith("sync:") for scope in scopes):
        return Kind.SIDECAR
    return Kind.API


def may_sync(principal: Principal, cluster_id: str) -> bool:
    """Whether the caller may act for this cluster's sidecar."""
    return f"sync:{cluster_id}" in principal.scopes or principal.is_admin or "sync:*" in principal.scopes


def may_register(principal: Principal) -> bool:
    """Whether the caller may make a cluster known by asking for its configuration."""
    return principal.is_admin or "sync:*" in principal.scopes


def _checksum(body: str) -> str:
    return f"{zlib.crc32(body.encode()):08x}"
