import os
from pathlib import Path

import asyncpg
import pytest
from redis.asyncio import Redis

from alertagent.engines import embedded, place
from alertagent.engines.place import claim, private_directory
from alertagent.kernel.errors import Fatal


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


async def test_what_the_engines_keep_is_open_to_nobody_else(data_dir: Path) -> None:
    async with embedded(data_dir, postgres=True, redis=True):
        directories = [mode(data_dir / name) for name in ("postgres", "valkey", "run")]
        files = [mode(data_dir / name) for name in ("postgres.password", "postgres.log", "valkey.log", "engines.lock")]
        sockets = [mode(data_dir / "run" / name) for name in (".s.PGSQL.5432", "valkey.sock")]

    assert directories == [0o700] * 3
    assert files == [0o600] * 4
    assert sockets == [0o700] * 2


@pytest.mark.parametrize("name", ["d" * 150, "with blank, comma & umlaut ü"])
async def test_a_path_that_no_socket_can_have_is_no_obstacle(data_dir: Path, name: str) -> None:
    for _ in ("cold", "warm"):
        async with embedded(data_dir / name, postgres=True, redis=True) as engines:
            assert engines.database_url
            assert engines.redis_url
            await (await asyncpg.connect(engines.database_url)).close()
            async with Redis.from_url(engines.redis_url) as client:
                assert await client.ping()


async def test_sockets_outside_the_data_directory_are_private_and_leave_nothing_behind(data_dir: Path) -> None:
    async with claim(data_dir / ("d" * 150)) as place:
        assert mode(place.sockets) == 0o700
        assert len(f"{place.sockets}/.s.PGSQL.5432") < 100

    assert not place.sockets.exists()


async def test_the_same_directory_by_another_name_has_the_same_sockets(data_dir: Path) -> None:
    (data_dir / "link").symlink_to(data_dir / "real")

    async with claim(data_dir / "real") as place:
        sockets = place.sockets
    async with claim(data_dir / "link") as place:
        assert place.sockets == sockets


async def test_a_directory_is_free_again_after_its_holder(data_dir: Path) -> None:
    async with claim(data_dir):
        with pytest.raises(Fatal, match=f"in use by another AlertAgent \\(pid {os.getpid()}\\)"):
            async with claim(data_dir):
                pytest.fail("claimed twice")

    async with claim(data_dir) as place:
        assert place.data_dir == data_dir


async def test_a_link_in_the_place_of_a_private_directory_is_not_followed(data_dir: Path) -> None:
    (data_dir / "elsewhere").mkdir(mode=0o755)
    (data_dir / "run").symlink_to(data_dir / "elsewhere")

    with pytest.raises(Fatal, match=f"{data_dir}/run is in the way"):
        async with claim(data_dir):
            pytest.fail("a link was followed")

    assert mode(data_dir / "elsewhere") == 0o755


async def test_a_directory_of_somebody_else_is_not_taken_over(data_dir: Path) -> None:
    foreign = Path("/")
    if os.geteuid() == 0:
        foreign = data_dir / "foreign"
        foreign.mkdir()
        os.chown(foreign, 4_000_000, 4_000_000)
    before = mode(foreign)

    async with claim(data_dir) as place:
        with pytest.raises(Fatal, match=f"{foreign} does not belong to"):
            private_directory(foreign, place.account)

    assert mode(foreign) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has engines run as somebody else")
async def test_a_directory_closed_to_the_engines_user_keeps_them_elsewhere(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, "ELSEWHERE", data_dir / "elsewhere")
    closed = data_dir / "closed"
    closed.mkdir(mode=0o700)
    for _ in ("cold", "warm"):
        async with embedded(closed / "data", postgres=True, redis=False) as engines:
            assert engines.database_url
            await (await asyncpg.connect(engines.database_url)).close()

    (home,) = (data_dir / "elsewhere").iterdir()
    assert (closed / "data" / "engines").resolve() == home
    assert (home / "postgres").is_dir()
    assert not (closed / "data" / "postgres").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has engines run as somebody else")
async def test_engines_kept_elsewhere_are_claimed_once_even_through_a_copied_link(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, "ELSEWHERE", data_dir / "elsewhere")
    closed = data_dir / "closed"
    closed.mkdir(mode=0o700)
    async with claim(closed / "one") as first:
        (closed / "two").mkdir()
        (closed / "two" / "engines").symlink_to(first.data_dir)
        with pytest.raises(Fatal, match="in use by another AlertAgent"):
            async with claim(closed / "two"):
                pytest.fail("claimed twice")
