"""Clients for Redis and Valkey, by URL.

    redis://host:6379/0  rediss://…  unix:///run/redis.sock
    redis+sentinel://user:password@host:26379,host2:26379/service/0?sentinel_password=…
    redis+cluster://user:password@host:6379,host2:6379

The last two also with `rediss+` for TLS, which takes `?ssl_ca_certs=FILE`, `ssl_certfile`, `ssl_keyfile` and
`ssl_cert_reqs=none`, as `rediss://` does. A cluster's client speaks as a single server's does, as long as all keys of
one command have one hash tag.
"""

import asyncio
from collections.abc import Iterable
from typing import Any, TypeVar, cast
from urllib.parse import parse_qsl, unquote, urlsplit

from redis import exceptions
from redis.asyncio import Redis
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff

from alertagent.kernel.errors import Fatal
from alertagent.kernel.urls import ServerUrl, split_url

_TIMEOUT = 5.0
_SENTINEL_PORT, _PORT = 26379, 6379

_TLS = frozenset({"ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs"})
# What a query may say, by the kind of URL. Anything else would be silently ignored, or break each connection.
_KNOWN = {
    "": _TLS | {"db", "username", "password", "ssl_check_hostname"},
    "sentinel": _TLS | {"sentinel_username", "sentinel_password"},
    "cluster": _TLS,
}


Kind = TypeVar("Kind", bound=AbstractConnection)


class _Attentive(AbstractConnection):
    """Sends in the task that asks. redis-py makes another one of each command and waits with `asyncio.wait_for`, which
    on Python 3.11 drops a cancellation that comes as the write ends: whoever was cancelled then runs for ever."""

    __slots__ = ()

    @classmethod
    def of(cls, kind: type[Kind]) -> type[Kind]:
        """The same connection, sending so."""
        return cast("type[Kind]", type(kind.__name__, (cls, kind), {"__slots__": ()}))

    async def send_packed_command(self, command: bytes | str | Iterable[bytes], check_health: bool = True) -> None:
        if not self.is_connected:
            await self.connect_check_health(check_health=False)
        if isinstance(command, str):
            command = command.encode()
        try:
            async with asyncio.timeout(self.socket_timeout):
                await self._send_packed_command([command] if isinstance(command, bytes) else command)
        except OSError as error:  # includes TimeoutError
            await self.disconnect(nowait=True)
            raise exceptions.ConnectionError(f"cannot write to Redis: {error!r}") from error
        except BaseException:
            await self.disconnect(nowait=True)
            raise


class _Followed(Redis):
    """The client of a master; the Sentinels' clients are closed with it."""

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        await super().aclose(close_connection_pool)
        pool: Any = self.connection_pool
        for sentinel in pool.sentinel_manager.sentinels:
            await sentinel.aclose()


class _Cluster(RedisCluster):
    """The client of a cluster. One that is away is away as any server is: redis-py's word for it is no RedisError."""

    async def initialize(self, *about: Any, **named: Any) -> RedisCluster:
        try:
            return await super().initialize(*about, **named)
        except exceptions.RedisClusterException as error:
            raise exceptions.ConnectionError(str(error)) from error


def connect(url: str) -> Redis:
    """A client for the queue. Connects when it is first used. Raises Fatal when the URL is not one of ours."""
    kind = split_url(url).scheme.partition("+")[2]
    try:
        _require_known(kind, url)
        match kind:
            case "":
                return _single(url)
            case "sentinel":
                return _sentinel(url)
            case "cluster":
                return _cluster(url)
    except ValueError as error:
        raise Fatal(f"the Redis URL is not understood: {error}") from error
    raise Fatal(f"a Redis URL of an unknown kind: +{kind}; there are +sentinel and +cluster")


def _require_known(kind: str, url: str) -> None:
    parts = split_url(url)
    for name in dict(parse_qsl(parts.query)):
        if name not in _KNOWN.get(kind, {name}):
            raise ValueError(f'it has the unknown parameter "{name}"')
        if name in _TLS and not parts.scheme.startswith("rediss"):
            raise ValueError(f'"{name}" is for TLS: begin the URL with rediss')


def _options() -> dict[str, Any]:
    # No retries by redis-py: an XADD whose answer is lost would silently be sent twice, and a read would leave
    # entries pending that nobody knows of. Whoever calls knows what may be repeated.
    return {
        "protocol": 2,
        "retry": Retry(NoBackoff(), 0),
        "socket_timeout": _TIMEOUT,
        "socket_connect_timeout": _TIMEOUT,
        "max_connections": 200,
        "client_name": "alertagent-queue",
    }


def _single(url: str) -> Redis:
    client: Redis = Redis.from_url(url, **_options())
    _sends_itself(client)
    return client


def _sentinel(url: str) -> Redis:
    parts = split_url(url)
    service, _, database = parts.path.strip("/").partition("/")
    if not service:
        raise ValueError("a Sentinel's URL ends with the name of the service, such as /mymaster")
    asked, secured = dict(parse_qsl(parts.query)), _secured(parts)
    own = {"username": asked.get("sentinel_username"), "password": asked.get("sentinel_password"), **secured}
    sentinel = Sentinel(  # type: ignore[no-untyped-call]  # redis-py has no types here
        _hosts(parts.netloc, _SENTINEL_PORT),
        sentinel_kwargs={"socket_timeout": _TIMEOUT, "socket_connect_timeout": _TIMEOUT, **own},
    )
    settings: dict[str, Any] = {**_login(parts.netloc), **secured, **_options(), "db": int(database or 0)}
    client: Redis = sentinel.master_for(service, redis_class=_Followed, **settings)
    for each in (client, *sentinel.sentinels):
        _sends_itself(each)
    return client


def _cluster(url: str) -> Redis:
    parts = split_url(url)
    nodes = [ClusterNode(host, port) for host, port in _hosts(parts.netloc, _PORT)]
    login: dict[str, Any] = _login(parts.netloc)
    client = _Cluster(startup_nodes=nodes, **login, **_secured(parts), **_options())
    kind = _Attentive.of(client.connection_kwargs["connection_class"])
    client.connection_kwargs["connection_class"] = kind
    for node in client.nodes_manager.startup_nodes.values():
        node.connection_class = kind
    return cast("Redis", client)


def _sends_itself(client: Redis) -> None:
    client.connection_pool.connection_class = _Attentive.of(client.connection_pool.connection_class)


def _secured(parts: ServerUrl) -> dict[str, Any]:
    if not parts.scheme.startswith("rediss"):
        return {}
    return {"ssl": True, **{name: value for name, value in parse_qsl(parts.query) if name in _TLS}}


def _hosts(netloc: str, port: int) -> list[tuple[str, int]]:
    """The addresses of a list that a URL's own parser would take for one host."""
    parts = [urlsplit(f"//{each}") for each in netloc.rpartition("@")[2].split(",")]
    if not all(part.hostname for part in parts):
        raise ValueError("it names no host")
    return [(part.hostname or "", part.port or port) for part in parts]


def _login(netloc: str) -> dict[str, str | None]:
    user, _, password = netloc.rpartition("@")[0].partition(":")
    return {"username": unquote(user) or None, "password": unquote(password) or None}
