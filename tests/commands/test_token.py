"""`alertagent token create` as a process of its own, against a running service."""

import json
from pathlib import Path

from alertagent.app import Service
from tests.support.serve import Ended, run
from tests.support.service import ADMIN_TOKEN, Api


async def create(service: Service, *arguments: str, token: str = ADMIN_TOKEN) -> Ended:
    environment = {"ALERTAGENT_SERVER": service.address, "ALERTAGENT_TOKEN": token}
    return await run("token", "create", *arguments, environment=environment)


async def test_the_token_alone_goes_to_the_output_and_works(service: Service, api: Api) -> None:
    made = await create(service, "ops", "--role", "editor", "--expires-in", "30d")

    (token,) = made.stdout.splitlines()
    assert made.status == 0
    assert (await api.as_(token).get("/rules")).status == 200
    assert "for ops, until 20" in made.stderr
    assert token not in made.stderr


async def test_a_token_for_a_sender_is_bound_to_its_cluster(service: Service, api: Api) -> None:
    made = await create(service, "prometheus", "--scope", "ingest", "--cluster", "prod-bj", "-o", "json")

    (listed,) = (await api.get("/tokens")).data
    assert json.loads(made.stdout)["id"] == listed["id"]
    assert (listed["kind"], listed["scopes"], listed["cluster_id"]) == ("ingest", ["ingest"], "prod-bj")
    assert made.stderr == ""


async def test_the_token_of_the_caller_may_stand_in_a_file(service: Service, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{ADMIN_TOKEN}\n")

    made = await create(service, "ops", "--role", "viewer", "--token-file", str(tmp_path / "token"), token="wrong")

    assert (made.status, made.stdout.startswith("aa_api_")) == (0, True)


async def test_a_mistake_is_told_with_its_place(service: Service) -> None:
    neither = await create(service, "ops")
    both = await create(service, "ops", "--role", "viewer", "--scope", "ingest")
    unknown = await create(service, "ops", "--scope", "everything", "--expires-in", "soon")
    stranger = await create(service, "ops", "--role", "admin", token="nobody")

    assert (neither.status, both.status) == (2, 2)
    assert "give either --role or --scope" in neither.stderr
    assert unknown.status == 1
    assert 'scopes: unknown scope "everything"' in unknown.stderr
    assert "expires_in: not a duration" in unknown.stderr
    assert (stranger.status, stranger.stderr) == (2, "alertagent: this token is unknown, expired or revoked\n")
