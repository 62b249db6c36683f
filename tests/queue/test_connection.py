import asyncio

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from alertagent.kernel.errors import Fatal
from alertagent.queue.connection import connect
from alertagent.queue.statistics import Statistics
from alertagent.queue.task import NewTask, Task
from alertagent.queue.tasks import Tasks
from alertagent.storage.pages import PageRequest
from tests.queue.bench import AT_ONCE, QUEUE, Bench, open_bench, task, until
from tests.support.engines import PrivateValkey
from tests.support.valkeys import cluster, role, shut_down, watched


async def fail_once(task: Task) -> None:
    if not task.retry:
        raise RuntimeError("not yet")


async def nothing(_: Task) -> None:
    pass


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("redis+sentinel://127.0.0.1:26379", "ends with the name of the service"),
        ("redis+sentinel://h/m?db=1", 'unknown parameter "db"'),
        ("redis+cluster://h?sentinel_password=p", 'unknown parameter "sentinel_password"'),
        ("redis://h?protocol=3", 'unknown parameter "protocol"'),
        ("redis+cluster://h?ssl_ca_certs=/ca.pem", '"ssl_ca_certs" is for TLS: begin the URL with rediss'),
        ("redis+cluster://", "names no host"),
        ("redis+proxy://127.0.0.1", "unknown kind: .proxy"),
        ("http://127.0.0.1", "is not understood"),
    ],
)
def test_a_url_that_means_nothing_is_refused(url: str, message: str) -> None:
    with pytest.raises(Fatal, match=message):
        _ = connect(url)


@pytest.mark.parametrize(
    "kind", ["redis{}://127.0.0.1:{}", "redis{}+cluster://127.0.0.1:{}", "redis{}+sentinel://127.0.0.1:{}/m"]
)
@pytest.mark.parametrize("tls", [True, False], ids=["TLS", "plain"])
async def test_a_url_of_rediss_and_no_other_speaks_tls(kind: str, tls: bool) -> None:
    first_bytes: asyncio.Queue[bytes] = asyncio.Queue()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first_bytes.put_nowait(await reader.read(1))
        writer.close()

    async with await asyncio.start_server(listen, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises((RedisError, OSError)):
            async with connect(kind.format("s" if tls else "", port)) as client:
                await client.ping()

    # A handshake begins with the byte 22, a command of Redis with an asterisk.
    assert await first_bytes.get() == (b"\x16" if tls else b"*")


async def is_lost(client: Redis, turns: int) -> bool:
    """Whether who is cancelled so many turns after he has asked goes on as if nothing were."""

    async def ask_and_wait() -> None:
        await client.ping()
        await asyncio.Event().wait()

    asking = asyncio.create_task(ask_and_wait())
    for _ in range(turns):
        await asyncio.sleep(0)
    asking.cancel()
    _, pending = await asyncio.wait([asking], timeout=1)
    asking.cancel()
    return bool(pending)


async def test_a_cancellation_is_not_lost_whenever_it_comes(redis_url: str) -> None:
    async with connect(redis_url) as client:
        await client.ping()
        lost = [await is_lost(client, turns) for turns in range(15)]
    async with cluster(1) as url, connect(url) as client:
        await client.ping()
        lost += [await is_lost(client, turns) for turns in range(15)]

    assert not any(lost)


async def test_a_server_that_takes_nothing_is_not_written_to_for_ever(private_valkey: PrivateValkey) -> None:
    async with connect(private_valkey.url) as client:
        await client.ping()
        client.connection_pool.connection_kwargs["socket_timeout"] = 0.1
        await client.connection_pool.disconnect()
        await client.ping()
        private_valkey.freeze()
        with pytest.raises(RedisError, match="cannot write to Redis: TimeoutError"):
            await client.set("key", bytes(2**26))
        private_valkey.thaw()

        assert await client.get("key") is None


async def test_a_cluster_serves_queues_on_all_its_nodes(database_url: str) -> None:
    async with cluster(3) as url, open_bench(database_url, url) as bench, bench.workers({"note": fail_once}):
        await bench.enqueue(*(task(priority=priority) for priority in (0, 1, 2)))
        assert sorted(await bench.finished(6)) == ["completed"] * 3 + ["retried"] * 3

        others = [task(queue=f"other-{number}") for number in range(6)]
        await bench.enqueue(*others)
        statistics = Statistics([one.queue for one in others], redis=bench.redis, ledger=bench.ledger)
        await until(lambda: _has(statistics, 6))
        tasks = Tasks([QUEUE, *(one.queue for one in others)], redis=bench.redis, ledger=bench.ledger)
        assert (await tasks.page(PageRequest())).live
        await tasks.cancel(others[0].id, by="ann")


async def test_a_sentinel_leads_to_the_new_master(database_url: str) -> None:
    tasks: list[NewTask] = []

    async def go_on(bench: Bench) -> bool:
        tasks.append(task())
        await bench.enqueue(tasks[-1])
        return len(bench.observer.finished.items) > 20

    async with watched() as (url, master, replica), open_bench(database_url, url) as bench:
        async with bench.workers({"note": nothing}, rules={"note": AT_ONCE}):
            await bench.enqueue(*(task() for _ in range(20)))
            await bench.finished(20)
            await shut_down(master)
            await until(lambda: go_on(bench), timeout=20)
            await until(lambda: _all_ended(bench), timeout=20)
        assert await role(replica) == "master"


async def _has(statistics: Statistics, depth: int) -> bool:
    return sum(found.depth for found in (await statistics.read()).values()) == depth


async def _all_ended(bench: Bench) -> bool:
    return await bench.open_rows() == 0
