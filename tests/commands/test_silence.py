"""`alertagent silence` as a process of its own, against a running service."""

import json

import pytest

from alertagent.app import Service
from tests.support.serve import Ended, run
from tests.support.service import ADMIN_TOKEN, Api


class SilenceCommand:
    """The command, with the token of the administrator."""

    def __init__(self, address: str) -> None:
        self._environment = {"ALERTAGENT_SERVER": address, "ALERTAGENT_TOKEN": ADMIN_TOKEN}

    async def __call__(self, *arguments: str) -> Ended:
        return await run("silence", *arguments, environment=self._environment)


@pytest.fixture
def silence(service: Service) -> SilenceCommand:
    return SilenceCommand(service.address)


async def test_a_silence_is_added_listed_and_ended(api: Api, silence: SilenceCommand) -> None:
    added = await silence("add", 'Disk"Full', 'cluster=~"prod-.*"', "-c", "repair", "--author", "anna")
    id = added.stdout.strip()
    stored = (await api.get(f"/silences/{id}")).data
    listed = (await silence("list")).stdout.splitlines()
    ended = await silence("expire", id)
    none = await silence("list")
    expired = json.loads((await silence("list", "--expired", "-o", "json")).stdout)

    assert (added.status, stored["matchers"]) == (0, [r'alertname="Disk\"Full"', 'cluster=~"prod-.*"'])
    assert (stored["created_by"], stored["comment"], stored["state"]) == ("anna", "repair", "active")
    assert listed[0].split("\t") == ["ID", "STATE", "MATCHERS", "STARTS", "ENDS", "WINDOWS", "BY", "COMMENT"]
    assert listed[1].split("\t")[:2] == [id, "active"]
    assert (ended.status, ended.stdout) == (0, f"{id} expired\n")
    assert (none.status, none.stdout, none.stderr) == (0, "", "there are no such silences\n")
    assert [each["id"] for each in expired] == [id]


async def test_times_are_given_as_one_likes(silence: SilenceCommand) -> None:
    start, end = "2099-06-01T10:00:00+08:00", "2099-06-01T12:00:00+08:00"

    until = json.loads((await silence("add", "A", "-c", "x", "--start", start, "--until", end, "-o", "json")).stdout)
    lasting = json.loads((await silence("add", "A", "-c", "x", "--start", start, "-d", "90m", "-o", "json")).stdout)

    assert (until["starts_at"], until["ends_at"]) == ("2099-06-01T02:00:00Z", "2099-06-01T04:00:00Z")
    assert (lasting["ends_at"], lasting["state"]) == ("2099-06-01T03:30:00Z", "pending")


async def test_a_maintenance_window_is_added(silence: SilenceCommand) -> None:
    rule = ("--rrule", "FREQ=WEEKLY;BYDAY=SU;BYHOUR=2", "--timezone", "Asia/Shanghai", "--window", "2h")

    added = await silence("add", 'cluster="prod"', "-c", "backup", *rule)
    listed = (await silence("list")).stdout.splitlines()

    assert added.status == 0
    assert listed[1].split("\t")[5] == "FREQ=WEEKLY;BYDAY=SU;BYHOUR=2 Asia/Shanghai 2h"


async def test_what_the_server_refuses_is_told(silence: SilenceCommand) -> None:
    everything = await silence("add", 'alertname=~".+"', "-c", "x")
    meant = await silence("add", 'alertname=~".+"', "-c", "x", "--mute-all")
    no_matcher = await silence("add", "A", "B", "-c", "x")
    unknown = await silence("expire", "none", meant.stdout.strip(), "nothing")

    assert (everything.status, meant.status, no_matcher.status) == (1, 0, 1)
    assert "more closely, or add --mute-all" in everything.stderr
    assert "not a matcher" in no_matcher.stderr
    assert (unknown.status, unknown.stdout) == (1, f"{meant.stdout.strip()} expired\n")
    assert (await silence("expire", "none")).stdout == ""
    assert ['"none"' in unknown.stderr, '"nothing"' in unknown.stderr] == [True, True]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["add", "A"], "--comment"),
        (["add", "-c", "x"], "MATCHER"),
        (["add", "A", "-c", "x", "-d", "1h", "--until", "2099-06-01T10:00:00Z"], "either"),
        (["add", "A", "-c", "x", "--rrule", "FREQ=DAILY"], "go together"),
        (["expire"], "ID"),
    ],
)
async def test_a_call_that_makes_no_sense_is_a_usage_error(arguments: list[str], said: str) -> None:
    ended = await run("silence", *arguments, environment={})

    assert ended.status == 2
    assert said in ended.stderr
