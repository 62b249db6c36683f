"""Making, recognising and revoking tokens."""

import hmac
import os
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any

from alertagent.core.audit.model import SYSTEM, Actor
from alertagent.core.audit.service import Audit
from alertagent.core.auth.model import ENTROPY_BYTES, Kind, Token, compose, digest, id_of
from alertagent.kernel.clock import Clock
from alertagent.kernel.errors import NotFound
from alertagent.storage.database import Database, Executor
from alertagent.storage.pages import Column, Listing, PageOf, PageRequest, fetch_page
from alertagent.storage.queries import load_queries
from alertagent.web.access import Principal, Role

sql = load_queries("alertagent.core.auth")

# A revoked token may be believed for this long: the price of not asking the database on every post of alerts.
REMEMBERED_FOR = timedelta(seconds=5)
USE_NOTED_EVERY = timedelta(minutes=1)

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

    def __init__(self, database: Database, audit: Audit, clock: Clock, *, admin_token: str | None) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock
        self._admin = digest(admin_token) if admin_token else None
        self._remembered: dict[bytes, tuple[Token | None, datetime]] = {}

    async def authenticate(self, bearer: str) -> Principal | None:
        """Who holds this token; None when nobody does. Raises Unavailable when the database cannot be asked."""
        secret = digest(bearer)
        if self._admin is not None and hmac.compare_digest(secret, self._admin):
            return ADMINISTRATOR
        id = id_of(bearer)
        if id is None:
            return None
        token = await self._recall(id, secret)
        return token.principal if token is not None and token.is_valid(self._clock.now()) else None

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
        self._remembered.clear()

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
        self._remembered.clear()
        _, text = await self.make(SYSTEM, name=name, kind=Kind.API, role=role)
        return text

    async def _recall(self, id: str, secret: bytes) -> Token | None:
        now = self._clock.now()
        remembered = self._remembered.get(secret)
        if remembered is not None and now < remembered[1]:
            return remembered[0]
        row = await self._database.fetchrow(sql.find, id)
        token = _token(row) if row is not None and hmac.compare_digest(row["digest"], secret) else None
        if len(self._remembered) > 10_000:
            self._remembered.clear()
        self._remembered[secret] = (token, now + REMEMBERED_FOR)
        if token is not None and (token.last_used_at is None or now - token.last_used_at > USE_NOTED_EVERY):
            await self._database.execute(sql.used, id)
        return token

    async def _note(self, transaction: Executor, actor: Actor, action: str, token: Token) -> None:
        shown = {"name": token.name, "role": token.role, "scopes": token.scopes, "cluster_id": token.cluster_id}
        await self._audit.record(transaction, actor, action, ("token", token.id), after=shown)


def _token(row: Any) -> Token:
    values = {field.name: row[field.name] for field in fields(Token)}
    role = Role(row["role"]) if row["role"] else None
    return Token(**{**values, "kind": Kind(row["kind"]), "role": role, "scopes": tuple(row["scopes"])})
