"""Tokens over HTTP."""

from datetime import datetime, timedelta
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from alertagent.core.audit.model import actor_of
from alertagent.core.auth.model import CLUSTER_ID, Kind, is_scope, kind_of
from alertagent.core.auth.service import Tokens
from alertagent.storage.pages import PageRequest
from alertagent.web.access import Role, admin
from alertagent.web.call import Call
from alertagent.web.models import NAMING, Duration, ListQuery, Model
from alertagent.web.replies import Page
from alertagent.web.routes import delete, get, post

Name = Annotated[str, Field(min_length=1, max_length=100), NAMING]


class TokenRequest(Model):
    """Either a role (what a person of that role may do) or scopes (just these things)."""

    name: Name
    role: Role | None = None
    scopes: Annotated[tuple[str, ...], Field(max_length=50)] = ()
    cluster_id: Annotated[
        str | None,
        Field(pattern=f"^{CLUSTER_ID}$", description="Alerts posted with this token are of this cluster."),
    ] = None
    expires_in: Duration = timedelta(days=90)

    @field_validator("scopes")
    @classmethod
    def _scopes_are_known(cls, scopes: tuple[str, ...]) -> tuple[str, ...]:
        for scope in scopes:
            if not is_scope(scope):
                raise ValueError(f'unknown scope "{scope}"; such as rules:read, rules:write, ingest, sync:<cluster>')
        return scopes

    @field_validator("expires_in")
    @classmethod
    def _expiry_is_near(cls, expires_in: timedelta) -> timedelta:
        if not timedelta(0) < expires_in <= timedelta(days=3650):
            raise ValueError("must be more than 0 and at most 10 years")
        return expires_in

    @model_validator(mode="after")
    def _is_role_or_scopes(self) -> Self:
        if (self.role is None) == (not self.scopes):
            raise ValueError('give either "role" or "scopes"')
        return self


class TokenMade(Model):
    """The only time that `token` is shown."""

    id: str
    name: str
    token: str
    expires_at: datetime | None


class TokenView(Model):
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


class TokensApi:
    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    @post("/tokens", access=admin(), status=201, secret=True)
    async def make(self, call: Call, body: TokenRequest) -> TokenMade:
        """Make a token; its text is shown only in this answer."""
        token, text = await self._tokens.make(
            actor_of(call),
            name=body.name,
            kind=kind_of(body.scopes),
            role=body.role,
            scopes=body.scopes,
            cluster_id=body.cluster_id,
            expires_in=body.expires_in,
        )
        return TokenMade(id=token.id, name=token.name, token=text, expires_at=token.expires_at)

    @get("/tokens", access=admin())
    async def list(self, call: Call, query: ListQuery) -> Page[TokenView]:
        """The tokens that are not revoked, without their text."""
        page = await self._tokens.page(PageRequest(**query.model_dump()))
        views = [TokenView(**{name: row[name] for name in TokenView.model_fields}) for row in page.rows]
        return Page(items=views, next_cursor=page.next_cursor, total=page.total)

    @delete("/tokens/{id}", access=admin())
    async def revoke(self, call: Call, id: str) -> None:
        """Revoke a token; it stops working within seconds everywhere."""
        await self._tokens.revoke(actor_of(call), id)
