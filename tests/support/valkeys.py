"""Valkeys of other shapes than one server: a cluster, and a master that Sentinels watch over."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from tests.support.directories import open_directory
from tests.support.engines import redis_carriers

SLOTS = 16384


@asynccontextmanager
async def cluster(nodes: int) -> AsyncIterator[str]:
    """The URL of a cluster without replicas."""
    async with AsyncExitStack() as stack:
        buses = [_free_port() for _ in range(nodes)]
        options = [("--cluster-enabled", "yes", "--cluster-port", str(bus)) for bus in buses]
        clients = [await stack.enter_async_context(_node(*each)) for each in options]
        for number, client in enumerate(clients):
            first, behind = (place * SLOTS // nodes for place in (number, number + 1))
            await _command(client, "CLUSTER", "ADDSLOTSRANGE", first, behind - 1)
            await _command(client, "CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            await _command(client, "CLUSTER", "MEET", "127.0.0.1", _port(clients[0]), buses[0])
        for client in clients:
            await _until(partial(_is_whole, client))
        yield "redis+cluster://" + ",".join(f"127.0.0.1:{_port(client)}" for client in clients)


@asynccontextmanager
async def watched() -> AsyncIterator[tuple[str, Redis, Redis]]:
    """A URL that asks a Sentinel, the master, and its replica that takes over when the master is gone."""
    async with AsyncExitStack() as stack:
        master = await stack.enter_async_context(_node())
        replica = await stack.enter_async_context(_node("--replicaof", "127.0.0.1", str(_port(master))))
        config = stack.enter_context(open_directory()) / "sentinel.conf"
        config.write_text(
            f"sentinel monitor alerts 127.0.0.1 {_port(master)} 1\n"
            "sentinel down-after-milliseconds alerts 500\nsentinel failover-timeout alerts 3000\n"
        )
        sentinel = await stack.enter_async_context(_server([str(config), "--sentinel"]))
        await _until(partial(_has_replica, sentinel))
        yield f"redis+sentinel://127.0.0.1:{_port(sentinel)}/alerts/0", master, replica


@asynccontextmanager
async def _node(*options: str) -> AsyncIterator[Redis]:
    with open_directory() as directory:
        async with _server([*options, "--save", "", "--dir", str(directory)]) as client:
            yield client


@asynccontextmanager
async def _server(options: Sequence[str]) -> AsyncIterator[Redis]:
    port = _free_port()
    command = [str(_program()), *options, "--port", str(port), "--bind", "127.0.0.1"]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
    try:
        async with Redis(port=port) as client:
            await _until(partial(_is_up, client))
            yield client
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def _program() -> Path:
    return next(found.program for carrier in redis_carriers() for found in carrier.candidates())


async def role(client: Redis) -> str:
    """`master` or `slave`."""
    return str((await _command(client, "ROLE"))[0].decode())


async def shut_down(client: Redis) -> None:
    with suppress(RedisError):  # it does not answer this
        await _command(client, "SHUTDOWN", "NOSAVE")


async def _command(client: Any, *words: str | int) -> Any:
    return await client.execute_command(*words)


async def _is_up(client: Redis) -> bool:
    try:
        return bool(await _command(client, "PING"))
    except RedisError:
        return False


async def _is_whole(client: Redis) -> bool:
    return b"cluster_state:ok" in await _command(client, "CLUSTER", "INFO")


async def _has_replica(sentinel: Redis) -> bool:
    """Without one there is no fail-over."""
    return bool(await _command(sentinel, "SENTINEL", "REPLICAS", "alerts"))


async def _until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await condition():  # noqa: ASYNC110 - it is another process that changes
            await asyncio.sleep(0.05)


def _port(client: Redis) -> int:
    return int(client.connection_pool.connection_kwargs["port"])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
