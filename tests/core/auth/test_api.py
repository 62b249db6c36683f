"""Tokens over HTTP."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from alertagent.app import Service
from tests.support.service import ADMIN_TOKEN, Api


async def test_a_token_is_shown_once_and_works(api: Api) -> None:
    made = await api.post("/tokens", {"name": "ci", "role": "editor"})

    assert made.status == 201
    assert set(made.data) == {"id", "name", "token", "expires_at"}
    left = datetime.fromisoformat(made.data["expires_at"]) - datetime.now(UTC)
    assert timedelta(days=89) < left <= timedelta(days=90)
    assert (await api.as_(made.data["token"]).get("/rules")).status == 200


async def test_the_list_shows_everything_but_the_secret(api: Api) -> None:
    made = await api.post("/tokens", {"name": "in", "scopes": ["ingest"], "cluster_id": "c1", "expires_in": "1h"})
    await api.as_(made.data["token"]).post("//api/v2/alerts", [])

    listing = await api.get("/tokens")

    [shown] = listing.data
    expected = {"id": made.data["id"], "name": "in", "kind": "ingest", "role": None, "scopes": ["ingest"]}
    assert expected.items() <= shown.items()
    assert (shown["cluster_id"], shown["created_by"]) == ("c1", "admin")
    assert made.data["token"].rpartition("_")[2] not in listing.body.decode()
    assert "digest" not in shown


async def test_a_revoked_token_opens_nothing_and_is_not_listed(api: Api) -> None:
    made = await api.post("/tokens", {"name": "ci", "role": "admin"})
    other = api.as_(made.data["token"])
    assert (await other.get("/tokens")).status == 200

    assert (await api.delete(f"/tokens/{made.data['id']}")).status == 204

    refused = await other.get("/tokens")
    assert (refused.status, refused.error["code"]) == (401, "auth.token_invalid")
    assert (await api.get("/tokens")).data == []
    assert (await api.delete(f"/tokens/{made.data['id']}")).status == 404


async def test_a_token_may_revoke_itself(api: Api) -> None:
    made = await api.post("/tokens", {"name": "ci", "role": "admin"})
    itself = api.as_(made.data["token"])

    assert (await itself.delete(f"/tokens/{made.data['id']}")).status == 204
    assert (await itself.get("/tokens")).status == 401


@pytest.mark.parametrize("asked", [{}, {"role": "viewer", "scopes": ["ingest"]}, {"scopes": []}])
async def test_a_token_has_a_role_or_scopes_and_not_both(api: Api, asked: dict[str, object]) -> None:
    refused = await api.post("/tokens", {"name": "t", **asked})

    assert refused.status == 400
    assert 'give either "role" or "scopes"' in refused.error["message"]


async def test_a_repeated_request_with_a_key_makes_another_token_because_no_secret_is_kept(
    api: Api, service: Service
) -> None:
    for _ in range(2):
        made = await api.post("/tokens", {"name": "t", "role": "viewer"}, headers={"Idempotency-Key": "k"})
        assert "Idempotent-Replayed" not in made.headers

    assert len((await api.get("/tokens")).data) == 2
    assert await service.parts.database.fetchval("SELECT count(*) FROM idempotent_replies") == 0


async def test_no_secret_ever_reaches_the_log(api: Api) -> None:
    with capture_logs() as logs:
        made = await api.post("/tokens", {"name": "t", "role": "admin"})
        text = made.data["token"]
        await api.as_(text).get("/rules")
        await api.as_(text).get("/nothing")
        await api.as_(text[:-1]).get("/rules")
        await api.as_(text).post("/rules", {"name": text})
        await api.get(f"/rules?q={text[:100]}")
        await api.delete(f"/tokens/{made.data['id']}")

    written = json.dumps(logs, default=str)
    assert len(logs) >= 7
    assert ADMIN_TOKEN not in written
    assert text.rpartition("_")[2][:32] not in written


async def test_making_and_revoking_are_audited(api: Api, service: Service) -> None:
    made = await api.post("/tokens", {"name": "t", "scopes": ["sync:c1"]}, headers={"X-Request-ID": "r1"})
    await api.delete(f"/tokens/{made.data['id']}")

    rows = await service.parts.database.fetch("SELECT * FROM audit_log ORDER BY id")

    assert [(row["action"], row["actor"], row["subject_id"]) for row in rows] == [
        ("token.created", "admin", made.data["id"]),
        ("token.revoked", "admin", made.data["id"]),
    ]
    assert rows[0]["after"] == {"name": "t", "role": None, "scopes": ["sync:c1"], "cluster_id": None}
    assert (rows[0]["request_id"], rows[0]["remote"]) == ("r1", "127.0.0.1")
