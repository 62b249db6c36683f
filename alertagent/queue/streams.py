"""Redis as the queue uses it: keys, consumer group, scripts.

All keys of a queue carry one hash tag, so that scripts and reads over several streams also work on a cluster.
The streams of work are never trimmed: MAXLEN would drop entries that nobody has worked on yet.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoScriptError, ResponseError

GROUP = "workers"
LEVELS = (2, 1, 0)
FIELD = b"t"
BLOCK = 2000  # milliseconds; must stay below the socket's timeout, which redis-py does not look after


Fields = Mapping[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Keys:
    """Where a queue lives."""

    queue: str

    def stream(self, level: int) -> str:
        return f"aa:{{{self.queue}}}:s:{level}"

    @property
    def streams(self) -> list[str]:
        """Highest priority first."""
        return [self.stream(level) for level in LEVELS]

    @property
    def delayed(self) -> str:
        """A sorted set: score is the due time in ms, member the digit of the priority and the envelope."""
        return f"aa:{{{self.queue}}}:delayed"

    @property
    def dead(self) -> str:
        return f"aa:{{{self.queue}}}:dead"

    @property
    def epoch(self) -> str:
        """There as long as Redis remembers us; its absence tells that everything else is gone too."""
        return f"aa:{{{self.queue}}}:epoch"


def pipeline(redis: Redis) -> Any:
    """Commands that travel together. Untyped, because redis-py's types want each of them awaited."""
    return redis.pipeline(transaction=False)


def named(parts: Sequence[bytes]) -> Fields:
    """The fields of an entry as a script answers them: name, value, name, value."""
    if len(parts) == 2:  # what is ours, and much cheaper
        return {parts[0]: parts[1]}
    return dict(zip(parts[::2], parts[1::2], strict=True))


def member(priority: int, envelope: bytes) -> bytes:
    """How a task lies in the delayed set."""
    return b"%d" % priority + envelope


async def join(redis: Redis, keys: Keys) -> None:
    """Make the consumer group where it is missing: from 0, so that what came before the first worker is not lost."""
    for stream in keys.streams:
        try:
            await redis.xgroup_create(stream, GROUP, id="0", mkstream=True)
        except ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise


class Script:
    """A Lua script that Redis is told again whenever it has forgotten it."""

    def __init__(self, name: str) -> None:
        self.text = (files("alertagent.queue") / "lua" / f"{name}.lua").read_text("utf-8")
        self.digest = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()

    async def __call__(self, redis: Redis, keys: Iterable[str], *args: Any) -> Any:
        keys = list(keys)
        try:
            return await redis.evalsha(self.digest, len(keys), *keys, *args)
        except NoScriptError:
            return await redis.eval(self.text, len(keys), *keys, *args)

    def add(self, pipeline: Any, keys: Iterable[str], *args: Any) -> None:
        """Put into a pipeline, whose owner must `load` and repeat on NoScriptError."""
        keys = list(keys)
        # Not its method for this: a cluster's pipeline has none, but sends the command all the same.
        pipeline.execute_command("EVALSHA", self.digest, len(keys), *keys, *args)


add = Script("add")
promote = Script("promote")
read = Script("read")
retry = Script("retry")
move = Script("move")
renew = Script("renew")
claim = Script("claim")
forget = Script("forget")
requeue = Script("requeue")
able = Script("able")


def remove(pipeline: Any, stream: str, entries: Sequence[bytes], *, at_once: bool) -> None:
    """Take entries out of their stream for good, with one command where the server is `able`. May be sent twice."""
    if at_once:
        pipeline.execute_command("XACKDEL", stream, GROUP, "IDS", len(entries), *entries)
    else:
        pipeline.xack(stream, GROUP, *entries)
        pipeline.xdel(stream, *entries)


async def load(redis: Redis) -> None:
    """Tell Redis the scripts that pipelines use."""
    for script in (retry, move, forget):
        await redis.script_load(script.text)
