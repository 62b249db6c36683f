"""Making, recognising and revoking tokens."""

import hmac
import os
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any

from alertagent.core.audit.model import SYSTEM, Actor
from alertagent.core.audit.service import Audit
from alertagent.core.auth.model import ENTROPY_BYTES, Kind, Token, compose, digest, id_of
from alertagent.kernel.clock import Clock
from alertagent.kernel.errors import NotFound
from alertagent.storage.database import Database, Executor
from alertagent.storage.listening import Listening
from alertagent.storage.pages import Column, Listing, PageOf, PageRequest, fetch_page
from alertagent.storage.queries import load_queries
from alertagent.web.access import Principal, Role

sql = load_queries("alertagent.core.auth")

# A trigger of this channel's name tells every process that a token was changed or revoked.
CHANNEL = "alertagent_token"

# While those who are told of it do not listen, a revoked token may be believed for this long: the price of not asking
# the database on every post of alerts.
REMEMBERED_FOR = timedelta(seconds=5)
REMEMBERED_WHILE_LISTENING = timedelta(minutes=5)
USE_NOTED_EVERY = timedelta(minutes=1)

MOST_REMEMBERED = 20_000

ADMINISTRATOR = Principal(id="admin", name="admin", role=Role.ADMIN)

LISTING = Listing(
    source=sql.listing,
    columns={
        "id": Column("t.id"),
        "name": Column("t.name"),
        "kind": Column("t.kind"),
        "cluster_id": Column("coalesce(t.cluster_id, '')"),
        "created_at": Column("t.created_at", "timestamptz"),
    },
    sort="-created_at",
    key="t.id",
    search=("t.name", "t.id"),
)


class Tokens:
    """All tokens. The fixed administrator's token of the settings is recognised without the database."""

    def __init__(
        self,
        database: Database,
        audit: Audit,
        clock: Clock,
        *,
        admin_token: str | None,
        listening: Listening | None = None,
    ) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._admin = digest(admin_token) if admin_token else None
        self._listening = listening
        self._remembered: dict[bytes, _Remembered] = {}
        self._forgotten = 0
        self._used: set[str] = set()
        self._noted_at = datetime.min.replace(tzinfo=UTC)
        if listening is not None:
            listening.subscribe({CHANNEL: lambda _id: self._forget()}, self._forget)

    async def authenticate(self, bearer: str) -> Principal | None:
        """Who holds this token; None when nobody does. Raises Unavailable when the database cannot be asked."""
        secret = digest(bearer)
        if self._admin is not None and hmac.compare_digest(secret, self._admin):
            return ADMINISTRATOR
        id = id_of(bearer)
        if id is None:
            return None
        remembered = await self._recall(id, secret)
        await self._note_uses()
        return remembered.principal if remembered.holds(self._clock.now()) else None

    def recalled(self, bearer: str) -> Principal | None:
        """Who holds this token, where that is known without the database; None means that somebody must look."""
        secret = digest(bearer)
        if self._admin is not None and hmac.compare_digest(secret, self._admin):
            return ADMINISTRATOR
        remembered = self._remembered.get(secret)
        if remembered is None or remembered.token is None or not remembered.holds(self._clock.now()):
            return None
        self._used.add(remembered.token.id)
        return remembered.principal

    async def make(
        self,
        actor: Actor,
        *,
        name: str,
        kind: Kind,
        role: Role | None = None,
        scopes: tuple[str, ...] = (),
        cluster_id: str | None = None,
        expires_in: timedelta | None = None,
    ) -> tuple[Token, str]:
        """A new token and its text, which is not kept: it can be shown only now."""
        id, text = compose(kind, os.urandom(ENTROPY_BYTES))
        expires_at = self._clock.now() + expires_in if expires_in is not None else None
        async with self._database.transaction() as transaction:
            row = await transaction.fetchrow(
                sql.add, id, name, kind, digest(text), role, list(scopes), cluster_id, actor.name, expires_at
            )
            token = _token(row)
            await self._note(transaction, actor, "token.created", token)
        return token, text

    async def revoke(self, actor: Actor, id: str, *, cluster_id: str | None = None) -> None:
        """End a token; with a cluster only if it is bound to that one. Raises NotFound."""
        async with self._database.transaction() as transaction:
            row = await transaction.fetchrow(sql.revoke, id, cluster_id)
            if row is None:
                raise NotFound(f'there is no token "{id}"', code="token.not_found")
            await self._note(transaction, actor, "token.revoked", _token(row))
        self._forget()

    async def page(self, request: PageRequest) -> PageOf:
        return await fetch_page(self._database, LISTING, request)

    async def first_admin(self) -> str | None:
        """A token for the administrator of a fresh installation; None where one exists already."""
        if self._admin is not None or await self._database.fetchval(sql.has_admin):
            return None
        _, text = await self.make(SYSTEM, name="first administrator", kind=Kind.API, role=Role.ADMIN)
        return text

    async def renew(self, name: str, role: Role) -> str:
        """A new token of this name instead of all older ones."""
        await self._database.execute(sql.revoke_named, name)
        self._forget()
        _, text = await self.make(SYSTEM, name=name, kind=Kind.API, role=role)
        return text

    async def _recall(self, id: str, secret: bytes) -> "_Remembered":
        now, forgotten = self._clock.now(), self._forgotten
        remembered = self._remembered.get(secret)
        if remembered is None or now >= remembered.until:
            row = await self._database.fetchrow(sql.find, id)
            token = _token(row) if row is not None and hmac.compare_digest(row["digest"], secret) else None
            remembered = _Remembered(token, token.principal if token else None, now + self._patience(token))
            # What was read before something was revoked is not kept.
            if forgotten == self._forgotten:
                self._remember(secret, remembered)
        if remembered.token is not None:
            self._used.add(remembered.token.id)
        return remembered

    def _patience(self, token: Token | None) -> timedelta:
        """How long to remember; nobody is told of a token that is made."""
        is_told = self._listening is not None and self._listening.is_live and token is not None
        return REMEMBERED_WHILE_LISTENING if is_told else REMEMBERED_FOR

    def _remember(self, secret: bytes, remembered: "_Remembered") -> None:
        if len(self._remembered) >= MOST_REMEMBERED:
            self._remembered.clear()
        self._remembered[secret] = remembered

    def _forget(self) -> None:
        self._forgotten += 1
        self._remembered.clear()

    async def _note_uses(self) -> None:
        """When a token was last used is known to the minute, and costs one statement a minute."""
        now = self._clock.now()
        if self._used and now - self._noted_at > USE_NOTED_EVERY:
            used, self._used, self._noted_at = self._used, set(), now
            await self._database.execute(sql.used, list(used))

    async def _note(self, transaction: Executor, actor: Actor, action: str, token: Token) -> None:
        shown = {"name": token.name, "role": token.role, "scopes": token.scopes, "cluster_id": token.cluster_id}
        await self._audit.record(transaction, actor, action, ("token", token.id), after=shown)


@dataclass(frozen=True, slots=True)
class _Remembered:
    """What the database said of a token, and who holds it; None: that there is none such."""

    token: Token | None
    principal: Principal | None
    until: datetime

    def holds(self, now: datetime) -> bool:
        return self.token is not None and now < self.until and self.token.is_valid(now)


def _token(row: Any) -> Token:
    values = {field.name: row[field.name] for field in fields(Token)}
    role = Role(row["role"]) if row["role"] else None
    return Token(**{**values, "kind": Kind(row["kind"]), "role": role, "scopes": tuple(row["scopes"])})
