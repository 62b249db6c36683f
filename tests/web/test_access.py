"""Roles and scopes."""

import itertools

import pytest

from alertagent.web.access import PUBLIC, Access, Principal, Role, admin, editor, scoped, viewer


def caller(role: Role | None = None, *scopes: str) -> Principal:
    return Principal(id="x", name="x", role=role, scopes=frozenset(scopes))


def test_each_role_may_do_what_the_ones_before_it_may() -> None:
    order = [Role.VIEWER, Role.EDITOR, Role.ADMIN]
    for (high, one), (low, other) in itertools.product(enumerate(order), repeat=2):
        assert one.covers(other) is (high >= low), (one, other)


@pytest.mark.parametrize(
    ("access", "who", "expected"),
    [
        (PUBLIC, caller(), True),
        (viewer("a:read"), caller(), False),
        (viewer("a:read"), caller(Role.VIEWER), True),
        (editor("a:write"), caller(Role.VIEWER), False),
        (editor("a:write"), caller(Role.EDITOR), True),
        (admin(), caller(Role.EDITOR), False),
        (admin(), caller(Role.ADMIN), True),
        (admin(), caller(None, "rules:*", "ingest", "sync:*"), False),
        (scoped("ingest"), caller(Role.EDITOR), False),
        (scoped("ingest"), caller(Role.ADMIN), True),
        (scoped("ingest"), caller(None, "ingest"), True),
        (scoped("ingest"), caller(None, "ingestion"), False),
        (scoped("sync"), caller(None, "sync:c1"), True),
        (scoped("sync"), caller(None, "sync:*"), True),
        (scoped("sync"), caller(None, "ingest"), False),
        (viewer("a:read"), caller(None, "a:read"), True),
        (viewer("a:read"), caller(None, "a:write"), True),
        (viewer("a:read"), caller(None, "a:*"), True),
        (editor("a:ack"), caller(None, "a:write"), True),
        (editor("a:ack"), caller(None, "a:read"), False),
        (viewer("a:read"), caller(None, "b:read"), False),
        (viewer("a:read"), caller(None, "a:ack"), False),
        (viewer("a:read"), caller(None, "aa:read"), False),
        (viewer("a:read"), caller(None, "a"), False),
        (editor("a:write"), caller(None, "a:read"), False),
        (editor("a:write"), caller(None, "b:read", "a:write"), True),
        (Access(), caller(Role.EDITOR, "x"), False),
    ],
)
def test_a_route_opens_to_whom_it_should(access: Access, who: Principal, expected: bool) -> None:
    assert access.permits(who) is expected
