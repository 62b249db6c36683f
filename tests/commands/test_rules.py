"""`alertagent rules` as a process of its own, against a running service, its exports judged by promtool."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from alertagent.app import Service
from tests.support.prometheus import Prometheus, running
from tests.support.serve import COMMAND, Ended, run
from tests.support.service import ADMIN_TOKEN, Api

NODE = """\
groups:
- name: node
  rules:
  - alert: HostDown
    expr: up == 0
    for: 5m
    labels: {severity: critical}
  - record: job:up:sum
    expr: sum by (job) (up)
"""
DISK = """\
groups:
- name: disk
  rules:
  - alert: DiskFull
    expr: disk_used / disk_size > 0.9
"""


class Rules:
    """The command, with the token of the administrator."""

    def __init__(self, address: str) -> None:
        self.environment = {"ALERTAGENT_SERVER": address, "ALERTAGENT_TOKEN": ADMIN_TOKEN}

    async def __call__(self, *arguments: str) -> Ended:
        return await run("rules", *arguments, environment=self.environment)


@pytest.fixture
def rules(service: Service) -> Rules:
    return Rules(service.address)


@pytest.fixture
async def api(api: Api) -> Api:
    """A service that knows two clusters."""
    for id in ("c1", "c2"):
        assert (await api.post("/clusters", {"id": id, "parameters": {"limit": "0.5"}})).status == 201
    return api


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A checked out repository."""
    home = tmp_path / "infra"
    (home / "disk").mkdir(parents=True)
    (home / "node.yml").write_text(NODE)
    (home / "disk" / "disk.yaml").write_text(DISK)
    (home / "README.md").write_text("groups: [")
    (home / ".draft.yml").write_text("groups: [")
    return home


def apply(rules: Rules, home: Path, *arguments: str) -> Any:
    return rules("apply", "-f", str(home), "--source", "git/infra", "--target", "c1", *arguments)


async def names(api: Api) -> list[str]:
    return sorted(rule["name"] for rule in (await api.get("/rules")).data)


async def promtool(file: Path) -> str:
    process = await asyncio.create_subprocess_exec(
        "promtool", "check", "rules", str(file), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output
    return output.decode()


async def test_a_directory_becomes_the_rules_of_its_source_and_twice_changes_nothing(
    api: Api, rules: Rules, home: Path
) -> None:
    done = await apply(rules, home, "--comment", "abc123")
    before = (await api.get("/rules?sort=id")).data
    again = await apply(rules, home)

    assert (done.status, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "3 created, 0 updated, 0 unchanged, 0 deleted"
    assert {(rule["source"], *rule["targets"]) for rule in before} == {("git/infra", "c1")}
    (version,) = (await api.get(f"/rules/{before[0]['id']}/versions")).data
    assert version["comment"] == "abc123"
    assert (again.status, again.stdout) == (0, "nothing to do: 0 created, 0 updated, 3 unchanged, 0 deleted\n")
    assert (await api.get("/rules?sort=id")).data == before


async def test_the_difference_of_each_cluster_is_shown(api: Api, rules: Rules, home: Path) -> None:
    await apply(rules, home)
    (home / "node.yml").write_text(NODE.replace("for: 5m", "for: 10m"))
    (home / "disk" / "disk.yaml").unlink()

    done = await apply(rules, home, "--prune")

    assert done.status == 0
    lines = done.stdout.splitlines()
    assert lines[:4] == [
        "updated  v1.0.1   HostDown",
        "deleted  v1.0.1   DiskFull",
        "",
        "c1 (prometheus): 0 added, 1 changed, 1 removed",
    ]
    assert {"-    for: 5m", "+    for: 10m", "-  - alert: DiskFull", "--- now/node", "+++ then/node"} < set(lines)
    assert lines[-1] == "0 created, 1 updated, 1 unchanged, 1 deleted"
    assert await names(api) == ["HostDown", "job:up:sum"]


async def test_a_dry_run_stores_nothing_and_says_whether_it_would(api: Api, rules: Rules, home: Path) -> None:
    would = await apply(rules, home, "--dry-run")
    as_json = await apply(rules, home, "--dry-run", "-o", "json")
    assert await names(api) == []
    await apply(rules, home)
    nothing = await apply(rules, home, "--dry-run")

    assert would.status == as_json.status == 1
    assert would.stdout.splitlines()[-1] == "would be: 3 created, 0 updated, 0 unchanged, 0 deleted"
    assert "+  - alert: HostDown" in would.stdout
    assert json.loads(as_json.stdout)["clusters"][0]["cluster_id"] == "c1"
    assert (nothing.status, nothing.stdout) == (0, "would be: 0 created, 0 updated, 3 unchanged, 0 deleted\n")


async def test_rules_that_nobody_owns_are_taken_over_which_is_a_change(api: Api, rules: Rules, home: Path) -> None:
    await rules("import", str(home / "node.yml"), "--target", "c1")

    would = await apply(rules, home / "node.yml", "--dry-run")
    done = await apply(rules, home / "node.yml", "-o", "json")
    nothing = await apply(rules, home / "node.yml", "--dry-run")

    assert (would.status, nothing.status) == (1, 0)
    assert would.stdout.splitlines()[-1] == "would be: 0 created, 0 updated, 2 moved, 0 unchanged, 0 deleted"
    assert [rule["change"] for rule in json.loads(done.stdout)["rules"]] == ["moved", "moved"]
    assert {rule["source"] for rule in (await api.get("/rules")).data} == {"git/infra"}


async def test_one_mistake_refuses_all_files_and_is_told_with_its_place(api: Api, rules: Rules, home: Path) -> None:
    (home / "node.yml").write_text(NODE.replace("sum by (job)", "sum by job").replace("for: 5m", "for: soon"))

    for flags in ((), ("--dry-run",), ("-o", "json")):
        refused = await apply(rules, home, *flags)

        lines = refused.stderr.splitlines()
        assert (refused.status, refused.stdout, len(lines)) == (1, "", 3), refused
        assert lines[0].startswith(f"{home}/node.yml:6:10: for: ")
        assert lines[1].startswith(f"{home}/node.yml:9:")
        assert lines[2] == "alertagent: nothing was changed"
    assert await names(api) == []


async def test_a_file_that_is_no_text_is_told_with_its_place(rules: Rules, home: Path) -> None:
    (home / "binary.yml").write_bytes(b"\xff")

    refused = await apply(rules, home)

    told = f"{home}/binary.yml:1:1: this is not UTF-8 (invalid start byte)"
    assert (refused.status, refused.stderr.splitlines()) == (1, [told, "alertagent: nothing was changed"])


async def test_what_cannot_run_ends_with_2(rules: Rules, home: Path) -> None:
    empty = home / "empty"
    empty.mkdir()
    missing = await apply(rules, home / "nowhere.yml")
    nothing = await apply(rules, empty, "--prune")
    sourceless = await rules("apply", "-f", str(home))
    neither = await rules("import")
    away = await apply(Rules("http://127.0.0.1:1"), home)

    assert [ended.status for ended in (missing, nothing, sourceless, neither, away)] == [2] * 5
    assert f"cannot read {home}/nowhere.yml" in missing.stderr
    assert f"there are no rule files (*.yml, *.yaml) in {empty}" in nothing.stderr
    assert "--source" in sourceless.stderr
    assert "either files or --from-cluster" in neither.stderr
    assert "does not answer" in away.stderr


async def test_what_the_server_warns_of_is_told(api: Api, rules: Rules, home: Path) -> None:
    done = await rules("import", str(home), "--target", "c9", "--target", 'env="none"')

    assert done.status == 0
    assert {rule["targets"][0] for rule in (await api.get("/rules")).data} == {"c9"}
    would = await rules("import", str(home), "--target", "c8", "--dry-run")
    assert would.stderr == "warning: no cluster is c8 yet; the rule waits for one\n"


async def on_a_terminal(rules: Rules, answer: bytes, *arguments: str) -> tuple[int, str]:
    """Run the command with a terminal to ask on; its status, and all that it says."""
    ours, theirs = os.openpty()
    try:
        process = await asyncio.create_subprocess_exec(
            *(str(COMMAND), "rules", *arguments),
            env={**os.environ, **rules.environment},
            stdin=theirs,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        os.write(ours, answer)
        async with asyncio.timeout(20):
            output, _ = await process.communicate()
    finally:
        os.close(ours)
        os.close(theirs)
    assert process.returncode is not None
    return process.returncode, output.decode()


async def test_on_a_terminal_it_asks(api: Api, rules: Rules, home: Path) -> None:
    arguments = ("apply", "-f", str(home), "--source", "git/infra", "--target", "c1")

    said_no, no = await on_a_terminal(rules, b"n\n", *arguments)
    before = await names(api)
    said_yes, yes = await on_a_terminal(rules, b"y\n", *arguments)
    unasked, nothing = await on_a_terminal(rules, b"", *arguments)
    (home / "node.yml").write_text(NODE.replace("5m", "6m"))
    forced, _ = await on_a_terminal(rules, b"", *arguments, "--yes")

    assert (said_no, before) == (1, [])
    assert "+  - alert: HostDown" in no
    assert no.splitlines()[-1] == "Apply this? [y/N]: nothing was changed"
    assert (said_yes, yes.splitlines()[-1]) == (0, "Apply this? [y/N]: 3 created, 0 updated, 0 unchanged, 0 deleted")
    assert (unasked, nothing) == (0, "nothing to do: 0 created, 0 updated, 3 unchanged, 0 deleted\n")
    assert forced == 0


async def test_rules_come_from_a_pipe_too(api: Api, rules: Rules, home: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(COMMAND, "rules", "apply", "-f", "-", "--source", "pipe"),
        env={**os.environ, **rules.environment},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    await process.communicate(NODE.encode())

    assert process.returncode == 0
    assert await names(api) == ["HostDown", "job:up:sum"]


async def test_what_a_server_runs_is_imported(api: Api, rules: Rules, tmp_path: Path) -> None:
    prometheus = Prometheus(tmp_path)
    (prometheus.rules / "node.yml").write_text(NODE)
    async with running(prometheus):
        await api.put("/clusters/c1", {"query_url": prometheus.url})

        done = await rules("import", "--from-cluster", "c1", "--target", "c1", "-o", "json")

    assert (done.status, json.loads(done.stdout)["created"]) == (0, 2)
    assert await names(api) == ["HostDown", "job:up:sum"]


async def test_exports_are_files_that_promtool_takes(api: Api, rules: Rules, home: Path, tmp_path: Path) -> None:
    await apply(rules, home)
    await api.post(
        "/rules",
        {
            "name": "Load",
            "expression": "load > ${limit}",
            "parameters": {"limit": "0.9"},
            "targets": ["c2"],
            "group": "node",
        },
    )
    file, object = tmp_path / "c2.yml", tmp_path / "object.yml"

    everything = await rules("export")
    written = await rules("export", "--cluster", "c2", "-o", str(file))
    await rules("export", "--format", "prometheusrule", "--filter", 'name="DiskFull"', "-o", str(object))

    (tmp_path / "all.yml").write_text(everything.stdout)
    assert "SUCCESS: 4 rules found" in await promtool(tmp_path / "all.yml")
    assert (written.status, written.stdout) == (0, "")
    assert "SUCCESS: 1 rules found" in await promtool(file)
    assert "load > 0.5" in file.read_text()
    kubernetes = yaml.safe_load(object.read_text())
    assert (kubernetes["kind"], kubernetes["spec"]) == ("PrometheusRule", yaml.safe_load(DISK))
    back = await rules("import", str(tmp_path / "all.yml"), "--dry-run")
    assert (back.status, back.stdout) == (0, "would be: 0 created, 0 updated, 4 unchanged, 0 deleted\n")


async def test_an_export_that_cannot_be_written_or_made_says_so(api: Api, rules: Rules, tmp_path: Path) -> None:
    unwritable = await rules("export", "-o", str(tmp_path / "no" / "rules.yml"))
    unknown = await rules("export", "--cluster", "c9")

    assert (unwritable.status, unknown.status) == (2, 1)
    assert f"cannot write {tmp_path}/no/rules.yml: No such file" in unwritable.stderr
    assert 'there is no cluster "c9"' in unknown.stderr


async def test_rules_are_listed_shown_and_compared(api: Api, rules: Rules, home: Path) -> None:
    await apply(rules, home)
    (id,) = (rule["id"] for rule in (await api.get('/rules?filter=name="HostDown"')).data)
    await api.put(f"/rules/{id}", {"duration": "10m"})

    listed = (await rules("list")).stdout.splitlines()
    some = await rules("list", "--filter", 'kind="alerting"', "--q", "disk", "--limit", "5", "--output", "json")
    none = await rules("list", "--q", "nowhere")
    shown = yaml.safe_load((await rules("get", id)).stdout)
    first = json.loads((await rules("get", id, "--version", "v1.0.0", "-o", "json")).stdout)
    diff = await rules("diff", id)
    between = await rules("diff", id, "--from", "v1.0.0", "--to", "v1.0.1", "-o", "json")

    assert listed[0].split("\t") == [
        *("ID", "NAME", "KIND", "GROUP", "SEVERITY", "TARGETS", "SOURCE", "VERSION", "STATUS"),
    ]
    assert [line.split("\t")[1] for line in listed[1:]] == ["DiskFull", "HostDown", "job:up:sum"]
    down = [id, "HostDown", "alerting", "node", "critical", "c1", "git/infra", "v1.0.1", "pending"]
    assert listed[2].split("\t") == down
    assert [rule["name"] for rule in json.loads(some.stdout)] == ["DiskFull"]
    assert (none.status, none.stdout, none.stderr) == (0, "", "there are no such rules\n")
    assert (shown["id"], shown["duration"]) == (id, "10m")
    assert (first["version"], first["rule"]["duration"]) == ("v1.0.0", "5m")
    assert {"-duration: 5m", "+duration: 10m"} <= set(diff.stdout.splitlines())
    assert json.loads(between.stdout)["changes"] == [{"path": ["duration"], "before": "5m", "after": "10m"}]


async def test_what_is_not_there_is_told(rules: Rules) -> None:
    for arguments in (("get", "none"), ("get", "none", "--version", "v1.0.0"), ("diff", "none")):
        ended = await rules(*arguments)
        assert (ended.status, ended.stdout) == (1, ""), arguments
        assert "none" in ended.stderr
