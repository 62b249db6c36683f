"""Debian's amtool, asked the same of a real Alertmanager and of AlertAgent: it must not be able to tell them apart."""

import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.twins import DEFAULT, ROUTED, twins
from tests.support.alertmanager import amtool
from tests.support.prometheus import eventually
from tests.support.serve import Serve
from tests.support.service import ADMIN_TOKEN

_TIME = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d{3})?( UTC|Z)")
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True)
class Said:
    """How amtool ended and what it printed, with times and ids of silences by their place."""

    status: int
    output: str

    @property
    def plain(self) -> tuple[int, str]:
        ids = list(dict.fromkeys(found[0] for found in _ID.finditer(self.output)))
        named = _ID.sub(lambda found: f"<{ids.index(found[0]):034}>", self.output)
        return self.status, _TIME.sub("<time>", named)

    @property
    def id(self) -> str:
        found = _ID.search(self.output)
        assert found, self.output
        return found[0]


@dataclass(frozen=True)
class Both:
    """The flags that lead amtool to either."""

    theirs: list[str]
    ours: list[str]

    async def say(self, *arguments: str) -> tuple[Said, Said]:
        return Said(*await amtool(*self.theirs, *arguments)), Said(*await amtool(*self.ours, *arguments))

    async def agree(self, *arguments: str) -> Said:
        """What both say, which must be the same. Ours comes back."""
        theirs, ours = await self.say(*arguments)
        assert ours.plain == theirs.plain, arguments
        return ours

    async def silences(self, *arguments: str) -> tuple[str, str]:
        """The ids of the silence that each made."""
        theirs, ours = await self.say("silence", "add", *arguments)
        assert (theirs.status, ours.status) == (0, 0)
        return theirs.id, ours.id

    async def shown(self, *arguments: str, count: int) -> Any:
        """What both show as JSON, once the Alertmanager has made up its mind about as many alerts."""

        async def known() -> bool:
            return len(json.loads((await amtool(*self.theirs, "-o", "json", *arguments))[1])) == count

        await eventually(known, within=10)
        return json.loads((await self.agree("-o", "json", *arguments)).output)


@pytest.fixture
async def both(database_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Both]:
    async with twins(database_url, redis_url, tmp_path, DEFAULT, "default") as (theirs, ours):
        yield flags(theirs, ours, tmp_path)


def flags(theirs: str, ours: str, directory: Path) -> Both:
    credentials = directory / "http.yml"
    credentials.write_text(f"authorization:\n  credentials: {ADMIN_TOKEN}\n")
    return Both(
        theirs=[f"--alertmanager.url={theirs}"],
        ours=[f"--alertmanager.url={ours}", f"--http.config.file={credentials}"],
    )


async def add_alerts(both: Both) -> None:
    for labels in (
        ["DiskFull", "severity=critical", "instance=db-1", "team=storage", "--annotation=summary=the disk is full"],
        ["DiskFull", "severity=warning", "instance=db-2", "team=storage"],
        ["HostDown", "severity=critical", "instance=web-1", "team=web", "--generator-url=http://prometheus/graph?a=b"],
    ):
        assert (await both.agree("alert", "add", *labels)).plain == (0, "")


async def test_alerts_are_added_and_found(both: Both) -> None:
    await add_alerts(both)

    alerts = await both.shown("alert", "query", count=3)
    assert [alert["status"]["state"] for alert in alerts] == ["active"] * 3
    for arguments in (
        [],
        ["DiskFull"],
        ["alertname=DiskFull", "instance=db-1"],
        ["alertname=~Disk.*", "severity!=critical"],
        ["team!~web|db", "nothing="],
        ["alertname=Nothing"],
        ["-s"],
        ["-i"],
        ["-a", "-s", "-i", "-u"],
        ["-u"],
        ["-r", "def.*"],
        ["-r", "def"],
    ):
        await both.agree("alert", "query", *arguments)
        await both.agree("-o", "extended", "alert", "query", *arguments)
    refused = await both.agree("alert", "query", "-r", "(")
    assert refused.status == 1


async def test_silences_are_added_changed_and_ended(both: Both) -> None:
    await add_alerts(both)
    await both.shown("alert", "query", count=3)

    first = await both.silences("DiskFull", "severity=~crit.*", "-c", "a new disk comes", "-a", "ann", "-d", "2h")
    await both.silences("alertname=HostDown", "team!=db", "-c", "moving", "-a", "bob", "-d", "3h")
    assert len(await both.shown("alert", "query", count=1)) == 1
    assert len(await both.shown("alert", "query", "-s", count=2)) == 2
    for arguments in (
        [],
        ["-q"],
        ["alertname=HostDown"],
        ["HostDown", "team=db"],
        ["--created-by=ann"],
        ["--within=150m"],
    ):
        await both.agree("silence", "query", *arguments)
        await both.agree("-o", "extended", "silence", "query", *arguments)
        await both.agree("-o", "json", "silence", "query", *arguments)

    theirs, ours = first
    changed = [
        Said(*await amtool(*flags, "silence", "update", "-c", "it came", "-d", "4h", id))
        for flags, id in ((both.theirs, theirs), (both.ours, ours))
    ]
    assert changed[0].plain == changed[1].plain
    assert changed[1].id == ours
    await both.agree("silence", "query")

    for flags, id in ((both.theirs, theirs), (both.ours, ours)):
        assert await amtool(*flags, "silence", "expire", id) == (0, "")
    await both.agree("silence", "query")
    await both.agree("silence", "query", "--expired")
    assert len(await both.shown("alert", "query", count=2)) == 2
    unknown = await both.agree("silence", "expire", "01a20567-2085-490e-8405-53c844613db1")
    assert unknown.status == 1


async def test_silences_travel_from_one_to_the_other(both: Both, tmp_path: Path) -> None:
    await both.silences("DiskFull", "instance=~db-.*", "-c", "one", "-a", "ann", "-d", "2h")
    await both.silences("HostDown", "team!=db", "-c", "two", "-a", "bob", "-d", "3h")
    exported = tmp_path / "silences.json"
    exported.write_text((await amtool(*both.theirs, "-o", "json", "silence", "query"))[1])

    imported = Said(*await amtool(*both.ours, "silence", "import", "--force", str(exported)))

    assert (imported.status, len(imported.output.split())) == (0, 2)
    found = json.loads((await amtool(*both.ours, "-o", "json", "silence", "query"))[1])
    assert sorted(silence["comment"] for silence in found) == ["one", "one", "two", "two"]


async def test_the_configuration_is_read_by_alertmanagers_own_parser(both: Both) -> None:
    await both.agree("config", "routes", "show")
    await both.agree("config", "routes", "test", "severity=critical")
    await both.agree("config", "routes", "test", "--verify.receivers=default", "severity=critical")
    await both.agree("cluster", "show")
    status, shown = await amtool(*both.ours, "config", "show")
    assert (status, "receivers:\n- name: default\n" in shown) == (0, True)


async def test_a_tree_of_routes_is_shown_and_walked_alike(database_url: str, redis_url: str, tmp_path: Path) -> None:
    receivers = ("everyone", "on-call", "web", "hosts")
    async with twins(database_url, redis_url, tmp_path, ROUTED, *receivers) as (theirs, ours):
        both = flags(theirs, ours, tmp_path)

        shown = await both.agree("config", "routes", "show")
        assert (shown.status, shown.output.count("receiver: ")) == (0, 4)
        for labels, leads_to in (
            (["severity=critical"], "on-call"),
            (["severity=critical", "team=web"], "on-call,hosts"),
            (["alertname=DiskFull", "team=shop"], "web"),
            (["alertname=DiskFull", "team=shop", "region=test"], "everyone"),
            ([], "everyone"),
        ):
            tested = await both.agree("config", "routes", "test", *labels)
            assert tested.plain == (0, f"{leads_to}\n"), labels
        wrong = await both.agree("config", "routes", "test", "--verify.receivers=web", "severity=critical")
        assert wrong.status == 1


async def test_a_token_may_come_as_the_password_of_an_address(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    async with Serve.on(database_url, redis_url) as serve:
        address = serve.address.replace("://", "://amtool:{}@")

        assert (await amtool(f"--alertmanager.url={address.format(ADMIN_TOKEN)}", "alert", "add", "A")) == (0, "")
        status, shown = await amtool(f"--alertmanager.url={address.format(ADMIN_TOKEN)}", "alert", "query", "A")
        assert (status, shown.splitlines()[1].split()[0]) == (0, "A")
        assert (await amtool(f"--alertmanager.url={address.format('wrong')}", "alert", "query", "A"))[0] == 1
