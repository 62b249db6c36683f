"""How tokens look and what they open."""

import hashlib
import re
from datetime import UTC, datetime, timedelta

import pytest

from alertagent.core.auth.model import (
    ENTROPY_BYTES,
    Kind,
    Token,
    compose,
    digest,
    holder,
    id_of,
    is_scope,
    kind_of,
    may_register,
    may_sync,
)
from alertagent.web.access import Principal, Role

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RANDOM = bytes(range(ENTROPY_BYTES))


@pytest.mark.parametrize("kind", list(Kind))
def test_a_token_shows_its_kind_and_id_and_is_recognised(kind: Kind) -> None:
    id, text = compose(kind, RANDOM)

    assert re.fullmatch(rf"aa_{kind}_{id}_[a-z2-7]{{32}}[0-9a-f]{{8}}", text)
    assert id_of(text) == id == "abcdefgh"


def test_a_principal_is_named_after_the_holder_of_its_token() -> None:
    id, _ = compose(Kind.API, RANDOM)

    assert [holder(name) for name in (f"anna ({id})", "anna", "anna (on call)", "admin")] == [
        "anna",
        "anna",
        "anna (on call)",
        "admin",
    ]


def test_every_random_byte_counts() -> None:
    texts = {compose(Kind.API, RANDOM[:place] + b"\x1f" + RANDOM[place + 1 :])[1] for place in range(ENTROPY_BYTES)}

    assert len(texts) >= ENTROPY_BYTES - 1  # at one place the byte was that already


def test_any_mistyped_character_is_noticed() -> None:
    _, text = compose(Kind.API, RANDOM)
    for place, character in enumerate(text):
        typo = text[:place] + ("b" if character != "b" else "c") + text[place + 1 :]
        assert id_of(typo) is None, typo


@pytest.mark.parametrize(
    "text", ["", "aa_api_", "admin", "x" * 10_000, "aa_api_abcdefgh_" + "a" * 40, "\udcff", "é", "aa_API_"]
)
def test_what_is_no_token_has_no_id_and_still_a_digest(text: str) -> None:
    assert id_of(text) is None
    assert len(digest(text)) == 32


def test_a_digest_is_the_plain_sha256() -> None:
    assert digest("é") == hashlib.sha256("é".encode()).digest()
    assert digest("\udcff") == hashlib.sha256(b"\xff").digest()


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ("ingest", True), ("rules:read", True), ("rules:write", True), ("rules:*", True), ("alerts:ack", True),
        ("sync:c1", True), ("sync:*", True), ("sync:prod-bj.1_a", True), ("", False), ("*", False), ("rules", False),
        ("rules:ack", False), ("rules:Read", False), (" rules:read", False), ("sync", False), ("sync:", False),
        ("sync:a b", False), ("sync:c1\n", False), ("sync:" + "a" * 101, False), ("sync:../x", False),
        ("tokens:write", False), ("ingest:*", False), ("admin", False),
    ],
)  # fmt: skip
def test_only_known_scopes_are_scopes(scope: str, expected: bool) -> None:
    assert is_scope(scope) is expected


@pytest.mark.parametrize(
    ("scopes", "kind"),
    [
        ((), Kind.API),
        (("ingest",), Kind.INGEST),
        (("ingest", "rules:read"), Kind.API),
        (("sync:c1",), Kind.SIDECAR),
        (("sync:c1", "sync:c2"), Kind.SIDECAR),
        (("sync:c1", "ingest"), Kind.API),
    ],
)
def test_the_scopes_say_what_a_token_is_for(scopes: tuple[str, ...], kind: Kind) -> None:
    assert kind_of(scopes) is kind


@pytest.mark.parametrize(
    ("who", "syncs", "registers"),
    [
        (Principal(id="a", name="a", role=Role.ADMIN), True, True),
        (Principal(id="a", name="a", role=Role.EDITOR), False, False),
        (Principal(id="a", name="a", scopes=frozenset({"sync:c1"})), True, False),
        (Principal(id="a", name="a", scopes=frozenset({"sync:c2"})), False, False),
        (Principal(id="a", name="a", scopes=frozenset({"sync:c"})), False, False),
        (Principal(id="a", name="a", scopes=frozenset({"sync:*"})), True, True),
        (Principal(id="a", name="a", scopes=frozenset({"ingest"}), cluster_id="c1"), False, False),
    ],
)
def test_who_may_act_for_a_cluster(who: Principal, syncs: bool, registers: bool) -> None:
    assert (may_sync(who, "c1"), may_register(who)) == (syncs, registers)


@pytest.mark.parametrize(
    ("expires", "revoked", "expected"),
    [
        (None, None, True),
        (timedelta(seconds=1), None, True),
        (timedelta(), None, False),
        (timedelta(seconds=-1), None, False),
        (None, timedelta(), False),
        (timedelta(days=1), timedelta(days=-1), False),
    ],
)
def test_a_token_is_valid_until_it_expires_or_is_revoked(
    expires: timedelta | None, revoked: timedelta | None, expected: bool
) -> None:
    token = Token(
        id="x", name="x", kind=Kind.API, role=None, scopes=(), cluster_id=None, created_by="x", created_at=NOW,
        expires_at=NOW + expires if expires is not None else None, last_used_at=None,
        revoked_at=NOW + revoked if revoked is not None else None,
    )  # fmt: skip

    assert token.is_valid(NOW) is expected
