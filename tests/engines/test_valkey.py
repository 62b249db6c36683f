from pathlib import Path

import pytest
from redis.asyncio import Redis

from alertagent.engines import embedded
from alertagent.kernel.errors import Fatal
from tests.support.engines import PrivateValkey
from tests.support.processes import running_in


async def test_the_server_is_private_and_keeps_what_it_is_told(private_valkey: PrivateValkey) -> None:
    expected = {
        "appendfsync": "everysec",
        "appendonly": "yes",
        "maxmemory-policy": "noeviction",
        "port": "0",
        "save": "",
        "unixsocketperm": "700",
    }

    async with Redis.from_url(private_valkey.url, decode_responses=True) as client:
        assert await client.config_get(*expected) == expected


async def test_what_was_acknowledged_survives_a_kill(private_valkey: PrivateValkey) -> None:
    async with Redis.from_url(private_valkey.url, decode_responses=True) as client:
        await client.set("note", "disk full")

    await private_valkey.kill()
    await private_valkey.start()

    async with Redis.from_url(private_valkey.url, decode_responses=True) as client:
        assert await client.get("note") == "disk full"


async def test_a_spoilt_file_is_refused_in_the_server_s_own_words(data_dir: Path) -> None:
    async with embedded(data_dir, postgres=False, redis=True):
        """Make the files."""
    (manifest,) = (data_dir / "valkey" / "appendonlydir").glob("*.manifest")
    manifest.write_text("file nonsense\n")

    with pytest.raises(Fatal, match=r"Valkey ended at its start: .*AOF manifest.*\(log: .*valkey\.log\)"):
        async with embedded(data_dir, postgres=False, redis=True):
            pytest.fail("it cannot read its file")

    assert running_in(data_dir) == []
