"""A feature as small as can be, that does and raises whatever it is told."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pydantic import Field

from alertagent.kernel.errors import Unavailable
from alertagent.web.access import PUBLIC, Principal, Role, editor, viewer
from alertagent.web.call import Call
from alertagent.web.models import Model
from alertagent.web.replies import Page, Raw, Reply, Stream
from alertagent.web.routes import delete, get, post, put


class Note(Model):
    text: str
    size: int = 1


class Seen(Model):
    text: str
    count: int


class Told(Model):
    """What a trial would do."""

    would: str


class Kind(StrEnum):
    SHORT = "short"
    LONG = "long"


class TrialQuery(Model):
    from_: str | None = Field(default=None, alias="from")
    kind: Kind = Kind.SHORT


class NoteQuery(Model):
    word: str | None = None
    words: tuple[str, ...] = ()


class ForeignQuery(Model):
    word: str = ""
    words: tuple[str, ...] = ()
    size: int = 1


class SmallApi:
    def __init__(self) -> None:
        self.problem: BaseException | None = None
        self.count = 0
        self.etag = "3"
        self.gate = asyncio.Event()
        self.gate.set()
        self.entered = asyncio.Event()
        self.calls: list[Call] = []

    async def _enter(self, call: Call) -> None:
        self.calls.append(call)
        self.count += 1
        self.entered.set()
        await self.gate.wait()
        if self.problem is not None:
            raise self.problem

    @post("/notes", access=editor("notes:write"), status=201)
    async def add(self, call: Call, body: Note) -> Reply[Seen]:
        """Add a note."""
        await self._enter(call)
        return Reply(data=Seen(text=body.text, count=self.count), etag=self.etag, headers={"Location": "/there"})

    @get("/streams/{kind}", access=viewer("notes:read"))
    async def stream(self, call: Call, kind: str) -> Stream:
        """Parts as they come; some kinds break."""
        await self._enter(call)
        return Stream(parts=_parts(kind), content_type="application/json", whole=10)

    @post("/secrets", access=editor("notes:write"), status=201, secret=True)
    async def add_secret(self, call: Call, body: Note) -> Seen:
        """Add a secret."""
        await self._enter(call)
        return Seen(text=body.text, count=self.count)

    @get("/notes", access=viewer("notes:read"))
    async def list(self, call: Call, query: NoteQuery) -> Page[Seen]:
        """The notes."""
        await self._enter(call)
        return Page(items=[Seen(text=word, count=0) for word in query.words], next_cursor="more", total=None)

    @get("/notes/{id}", access=viewer("notes:read"))
    async def read(self, call: Call, id: str) -> Reply[Seen]:
        """One note."""
        await self._enter(call)
        return Reply(data=Seen(text=id, count=self.count), etag=self.etag)

    @put("/notes/{id}", access=editor("notes:write"))
    async def revise(self, call: Call, id: str, body: Note) -> Reply[Seen]:
        """Change a note."""
        await self._enter(call)
        return Reply(data=Seen(text=id, count=self.count), status=202)

    @delete("/notes/{id}", access=editor("notes:write"))
    async def remove(self, call: Call, id: str) -> None:
        """Delete a note."""
        await self._enter(call)

    @post("/trials", access=editor("notes:write"), status=201)
    async def try_out(self, call: Call, query: TrialQuery) -> Reply[Seen] | Reply[Told]:
        """Make a note, or tell what it would be."""
        if query.from_ is None:
            return Reply(data=Seen(text=query.kind, count=0))
        return Reply(data=Told(would=query.from_), status=200)

    @delete("/trials", access=editor("notes:write"))
    async def end_trials(self, call: Call) -> Reply[Told] | None:
        """End all trials."""

    @post("/files", access=editor("notes:write"), reads=("application/yaml",))
    async def upload(self, call: Call, body: bytes) -> Raw:
        """Echo a file."""
        return Raw(body=body, content_type="application/yaml", etag="f", headers={"X-Of-Ours": "1"})

    @get("/api/v2/notes", prefix="", access=viewer("notes:read"), foreign=True)
    async def foreign_list(self, call: Call, query: ForeignQuery) -> Raw:
        """The notes, as others would tell them."""
        await self._enter(call)
        return Raw(body=" ".join([query.word, *query.words]).encode(), content_type="text/plain")

    @get("/open", prefix="", access=PUBLIC)
    async def open(self, call: Call) -> Raw:
        """For everybody."""
        await self._enter(call)
        return Raw(body=b"open", content_type="text/plain")


class Door:
    """Knows ann and bob, who may edit, and eve, who may look; `down` is a database that is away."""

    async def authenticate(self, bearer: str) -> Principal | None:
        if bearer == "down":
            raise Unavailable("the database is away")
        return self.recalled(bearer)

    def recalled(self, bearer: str) -> Principal | None:
        roles = {"ann": Role.EDITOR, "bob": Role.EDITOR, "eve": Role.VIEWER}
        return Principal(id=bearer, name=bearer, role=roles[bearer]) if bearer in roles else None


@dataclass(frozen=True)
class Kept:
    digest: bytes
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class Memory:
    """Replies kept in a dictionary: the port that PostgreSQL fills in production."""

    def __init__(self) -> None:
        self.kept: dict[str, Kept] = {}

    async def claim(self, key: str, digest: bytes) -> Kept | None:
        known = self.kept.get(key)
        if known is None:
            self.kept[key] = Kept(digest)
        return known

    async def keep(self, key: str, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.kept[key] = Kept(self.kept[key].digest, status, headers, body)

    async def release(self, key: str) -> None:
        del self.kept[key]


async def _parts(kind: str) -> AsyncGenerator[bytes, None]:
    if kind == "refused":
        raise Unavailable("no place")
    yield b"[1"
    if kind == "short":
        yield b"]"
        return
    yield b",2222222222"
    if kind == "broken":
        raise Unavailable("the database is gone")
    if kind == "crashed":
        raise RuntimeError
    yield b"]"
