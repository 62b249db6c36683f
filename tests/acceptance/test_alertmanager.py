"""A whole Alertmanager under governance: stored, brought, proven, refused where it is wrong, and brought back."""

from pathlib import Path

import aiohttp

from tests.acceptance.alertmanagers import PATH, TEMPLATE, config_of, governing
from tests.support.alertmanager import Alertmanager, write
from tests.support.prometheus import running
from tests.support.serve import Serve
from tests.support.service import Api
from tests.support.sink import Sink

THEIRS = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"


async def test_a_configuration_runs_changes_is_refused_and_comes_back(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    file = write(tmp_path, THEIRS)
    async with (
        Sink() as slack,
        Serve.on(database_url, redis_url) as serve,
        aiohttp.ClientSession() as session,
        running(Alertmanager(tmp_path)) as alertmanager,
        governing(serve, api := Api(session, serve.address), alertmanager, file) as governed,
    ):
        config = config_of(slack)
        first = {"config": config, "templates": {"title.tmpl": TEMPLATE}}

        assert (await api.put(PATH, first)).status == 200
        await governed.runs("v1.0.0")
        assert await governed.says(slack, "One") == "First says One"

        second = {"config": config, "templates": {"title.tmpl": TEMPLATE.replace("First", "Second")}}
        assert (await api.put(PATH, second)).status == 200
        await governed.runs("v1.0.1")
        assert await governed.says(slack, "Two") == "Second says Two"

        await nothing_bad_is_stored(api, config)
        assert (await governed.runs("v1.0.1"))["templates"] == second["templates"]

        assert (await api.post(f"{PATH}/rollback", {"version": "v1.0.0"})).status == 200
        back = await governed.runs("v1.0.2")
        assert back["templates"] == first["templates"]
        assert await governed.says(slack, "Three") == "First says Three"
        versions = (await api.get(f"{PATH}/versions")).data
        assert [version["comment"] for version in versions] == ["back to v1.0.0", "", ""]


async def nothing_bad_is_stored(api: Api, config: str) -> None:
    good = {"title.tmpl": TEMPLATE}
    for text, templates, place in (
        (config.replace("receiver: slack", "receiver: slak"), good, ["config", "route", "receiver"]),
        (config.replace("group_wait: 0s", "group_wait: soon"), good, ["config", "route", "group_wait"]),
        (config, {"title.tmpl": '{{ define "shop.title"'}, ["templates", "title.tmpl"]),
    ):
        refused = await api.put(PATH, {"config": text, "templates": templates})
        assert refused.status == 400, refused.body
        assert [detail["loc"] for detail in refused.error["details"]] == [place]
