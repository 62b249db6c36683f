"""What ran before AlertAgent came is on the server before anything is changed."""

from pathlib import Path
from typing import Any

import pytest

from alertagent.sidecar.adopt import bundled
from alertagent.sidecar.bundle import MAX_FILE
from alertagent.sidecar.model import ErrorClass, Unadopted
from tests.sidecar.conftest import Sidecar
from tests.sidecar.stands import Stand, alertmanager_file, bundle, files_of, quick_rules, stand
from tests.sidecar.test_matrix import applied, failed
from tests.support.config_server import ConfigServer, rule_file
from tests.support.prometheus import Prometheus, eventually, running

THEIRS = b"groups: [{name: theirs, interval: 1s, rules: [{alert: Theirs, expr: vector(1)}]}]\n"
IMPORTED = quick_rules("Theirs")


@pytest.fixture
def used(idle: Stand) -> Stand:
    """A target that runs something of its own."""
    if idle.config_type != "alertmanager":
        idle.live.write_bytes(THEIRS)
    return idle


def imported(stand: Stand) -> bytes:
    return bundle("theirs") if stand.config_type == "alertmanager" else IMPORTED


async def test_what_runs_here_is_stored_before_anything_is_fetched(
    server: ConfigServer, used: Stand, sidecar: Sidecar
) -> None:
    before, served = used.live.read_bytes(), imported(used)
    server.serves_adopted = lambda _: served
    async with running(used.target), sidecar(used, adopt=True):
        await server.reported(applied(served))

        assert used.is_on_disk(served)
    assert [(entry.content_type, entry.body, entry.polls) for entry in server.adopted] == [
        ("application/yaml", before, 0)
    ]


async def test_what_the_server_has_already_wins(
    server: ConfigServer, used: Stand, sidecar: Sidecar, capsys: pytest.CaptureFixture[str]
) -> None:
    server.is_empty = False
    await server.offer(used.good)
    async with running(used.target), sidecar(used, adopt=True):
        await server.reported(applied(used.good))

    assert len(server.adopted) == 1
    assert "adoption.declined" in capsys.readouterr().out


async def test_what_cannot_be_imported_stays_untouched_until_it_can(
    server: ConfigServer, used: Stand, sidecar: Sidecar, capsys: pytest.CaptureFixture[str]
) -> None:
    before = used.live.read_bytes()
    server.unfit = "the expression is broken"
    server.serves_adopted = lambda _: imported(used)
    async with running(used.target), sidecar(used, adopt=True):
        report = await server.reported(failed("server"))
        await eventually(lambda: len(server.adopted) >= 2)

        assert "groups.0 line 3: the expression is broken" in report["error_message"]
        assert (report["applied_hash"], report["rejected_hash"], report["phase"]) == (None, None, "desired")
        assert used.live.read_bytes() == before
        assert server.polls == []
        assert capsys.readouterr().out.count("the expression is broken") == 1
        server.unfit = None
        await server.reported(applied(imported(used)))


async def test_while_the_server_is_away_nothing_is_taken_over(
    server: ConfigServer, used: Stand, sidecar: Sidecar
) -> None:
    before = used.live.read_bytes()
    await server.stop()
    server.serves_adopted = lambda _: imported(used)
    async with running(used.target), sidecar(used, adopt=True) as task:
        await used.target.is_ready()
        assert not task.done()
        assert used.live.read_bytes() == before
        await server.start()
        await server.reported(applied(imported(used)))

    assert len(server.adopted) == 1


async def test_a_restart_does_not_ask_again(server: ConfigServer, used: Stand, sidecar: Sidecar) -> None:
    server.serves_adopted = lambda _: imported(used)
    for _ in range(2):
        server.reports.clear()
        async with running(used.target), sidecar(used, adopt=True):
            await server.reported(applied(imported(used)))

    assert len(server.adopted) == 1


@pytest.mark.parametrize("content", [None, b"", b" \n", rule_file("Generated")])
async def test_where_nothing_is_to_be_adopted_nothing_is_sent(
    content: bytes | None, server: ConfigServer, prometheus: Prometheus, live: Path, sidecar: Sidecar
) -> None:
    if content is not None:
        live.write_bytes(content)
    async with sidecar(reload_url=prometheus.reload_url, adopt=True):
        await server.reported(applied(server.body))

    assert server.adopted == []


async def test_where_our_file_is_new_the_rules_of_all_others_are_pointed_out(
    server: ConfigServer, prometheus: Prometheus, sidecar: Sidecar, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = prometheus.rules / "theirs.yml"
    theirs.write_bytes(THEIRS)
    await prometheus.stop()
    await prometheus.start()
    async with sidecar(reload_url=prometheus.reload_url, adopt=True):
        await server.reported(applied(server.body))

    assert server.adopted == []
    assert any("adoption.incomplete" in line and str(theirs) in line for line in capsys.readouterr().out.splitlines())


async def test_a_target_that_is_down_cannot_be_asked_for_other_files(
    server: ConfigServer, live: Path, sidecar: Sidecar, capsys: pytest.CaptureFixture[str]
) -> None:
    live.write_bytes(THEIRS)
    async with sidecar(adopt=True):
        await server.reported(failed("unreachable"))

    assert len(server.adopted) == 1
    assert "adoption.unchecked" in capsys.readouterr().out


async def test_without_the_option_nothing_is_sent(server: ConfigServer, used: Stand, sidecar: Sidecar) -> None:
    await server.offer(used.good)
    async with running(used.target), sidecar(used):
        await server.reported(applied(used.good))

    assert server.adopted == []


async def test_once_adopts_too(server: ConfigServer, used: Stand, sidecar: Sidecar) -> None:
    server.serves_adopted = lambda _: imported(used)
    async with sidecar(used, adopt=True, once=True) as task:
        assert await task == 0

    assert len(server.adopted) == 1
    assert used.is_on_disk(imported(used))


async def test_once_writes_nothing_when_adoption_fails(server: ConfigServer, used: Stand, sidecar: Sidecar) -> None:
    before = used.live.read_bytes()
    server.unfit = "broken"
    async with sidecar(used, adopt=True, once=True) as task:
        assert await task == 1

    assert used.live.read_bytes() == before


async def test_rules_from_other_files_are_pointed_out(
    server: ConfigServer, prometheus: Prometheus, live: Path, sidecar: Sidecar, capsys: pytest.CaptureFixture[str]
) -> None:
    other = prometheus.rules / "other.yml"
    other.write_bytes(THEIRS.replace(b"theirs", b"others"))
    live.write_bytes(THEIRS)
    await prometheus.stop()
    await prometheus.start()
    server.serves_adopted = lambda _: IMPORTED
    async with sidecar(reload_url=prometheus.reload_url, adopt=True):
        await server.reported(applied(IMPORTED))

    lines = [line for line in capsys.readouterr().out.splitlines() if "adoption.incomplete" in line]
    assert len(lines) == 1
    assert str(other) in lines[0]
    assert str(live) not in lines[0]


async def test_templates_travel_with_the_configuration_as_it_stands(
    server: ConfigServer, tmp_path: Path, sidecar: Sidecar
) -> None:
    used = stand("alertmanager", tmp_path)
    (used.live.parent / "own").mkdir()
    (used.live.parent / "own" / "a.tmpl").write_bytes(b'{{ define "a" }}{{ end }}')
    main = alertmanager_file("theirs", templates=("'own/*.tmpl'",))
    used.live.write_bytes(main)
    server.serves_adopted = lambda _: imported(used)
    async with running(used.target), sidecar(used, adopt=True):
        await server.reported(applied(imported(used)))

    assert server.adopted[0].content_type == "application/x-tar"
    files = files_of(server.adopted[0].body)
    assert files.pop("") == main
    assert [path.rpartition("/")[2] for path in files] == ["a.tmpl"]
    assert list(files.values()) == [b'{{ define "a" }}{{ end }}']


def named(home: Path, *names: str) -> bytes:
    for name in names:
        path = home / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(name.encode())
    return alertmanager_file("a", templates=tuple(f"'{name}'" for name in names))


def test_templates_are_found_as_alertmanager_finds_them(tmp_path: Path) -> None:
    named(tmp_path, "a/1.tmpl", "a/2.tmpl", "b/3.tmpl", "c/4.tmpl")
    main = alertmanager_file("a", templates=("a/*.tmpl", "a/1.tmpl", f"{tmp_path}/b/3.tmpl", "'nowhere/*'"))

    assert sorted(path.rpartition("/")[2] for path in bundled(main, tmp_path).templates) == [
        "1.tmpl",
        "2.tmpl",
        "3.tmpl",
    ]


@pytest.mark.parametrize("main", [b"{", b"[]", b"templates: 1", b"templates: [[a], '']", b"a: 1\n---\nb: 2\n"])
def test_what_is_no_configuration_is_left_to_the_server_to_judge(main: bytes, tmp_path: Path) -> None:
    assert bundled(main, tmp_path).templates == {}


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (lambda home: named(home, "a/x.tmpl", "b/x.tmpl"), "same name"),
        (lambda home: named(home, "a/x y.tmpl"), "letters, digits"),
        (lambda home: named(home, *(f"a/{number}" for number in range(201))), "more than"),
        (lambda home: (named(home, "a/x"), (home / "a/x").write_bytes(b"x" * (MAX_FILE + 1)))[0], "larger than"),
        (lambda home: ((home / "d").mkdir(), alertmanager_file("a", templates=("d",)))[1], "cannot be read"),
    ],
)
def test_templates_that_cannot_travel_are_named(prepare: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(Unadopted, match=words) as caught:
        bundled(prepare(tmp_path), tmp_path)
    assert caught.value.error_class is ErrorClass.SERVER
