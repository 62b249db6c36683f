"""Who is calling, and what a route asks of them. Pure."""

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache


class Role(StrEnum):
    """What a person may do. Each role may do all that the ones before it may."""

    VIEWER = "viewer"
    EDITOR = "editor"
    ADMIN = "admin"

    def covers(self, other: "Role") -> bool:
        order = list(Role)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """The caller. `cluster_id` binds ingest and sidecar tokens to one cluster."""

    id: str
    name: str
    role: Role | None = None
    scopes: frozenset[str] = frozenset()
    cluster_id: str | None = None

    @property
    def is_admin(self) -> bool:
        return self.role is Role.ADMIN


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What opens a route: a role of at least `role`, or a scope.

    Without a role only administrators and the scope get in: an editor who may change rules still may not post
    alerts. `rules:write` includes `rules:read` (and `alerts:write` also `alerts:ack`), `rules:*` all; a scope without a
    verb (`sync`) is opened by any scope of that name, whose target (`sync:prod-bj`) the handler must judge.
    """

    scope: str | None = None
    role: Role | None = None
    public: bool = False

    def permits(self, principal: Principal) -> bool:
        if self.public or principal.role is Role.ADMIN:
            return True
        if self.role is not None and principal.role is not None and principal.role.covers(self.role):
            return True
        return self.scope is not None and any(_opens(held, self.scope) for held in principal.scopes)


PUBLIC = Access(public=True)


def viewer(scope: str) -> Access:
    return Access(role=Role.VIEWER, scope=scope)


def editor(scope: str) -> Access:
    return Access(role=Role.EDITOR, scope=scope)


def admin() -> Access:
    return Access(role=Role.ADMIN)


def scoped(scope: str) -> Access:
    """Open to this scope and to administrators, whatever other roles may do."""
    return Access(scope=scope)


@lru_cache(maxsize=4096)
def _opens(held: str, asked: str) -> bool:
    area, _, verb = held.partition(":")
    asked_area, _, asked_verb = asked.partition(":")
    if area != asked_area:
        return False
    return verb in {asked_verb, "*"} or not asked_verb or (verb == "write" and asked_verb in {"read", "ack"})
