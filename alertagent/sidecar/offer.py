"""A configuration as the server sent it, verified before anything else looks at it. Pure."""

from dataclasses import dataclass
from typing import Self

from alertagent.sidecar.bundle import unpacked
from alertagent.sidecar.content import Content
from alertagent.sidecar.model import Discarded, Version, digest


@dataclass(frozen=True, slots=True)
class Offer:
    """`hash` is that of the bytes as they came; what they become on disk has another one if it was a bundle."""

    hash: str
    content: Content

    @property
    def version(self) -> Version:
        return Version(served=self.hash, disk=self.content.digest)

    @classmethod
    def verified(cls, body: bytes, *, announced: str | None, etag: str | None) -> Self:
        """Raises Discarded. promtool accepts most truncated files, so only the hash can tell."""
        if announced is None:
            raise Discarded("the answer carries no X-Config-Hash: is the endpoint really AlertAgent?")
        if etag is not None and etag.removeprefix("W/").strip('"') != announced:
            raise Discarded(f"ETag {etag[:80]} and X-Config-Hash {announced[:80]} differ")
        if digest(body) != announced:
            raise Discarded(f"the {len(body)} bytes that arrived do not have the announced hash {announced[:80]}")
        content = unpacked(body)
        _require_text(content.main)
        return cls(announced, content)


def _require_text(main: bytes) -> None:
    if not main.strip():
        raise Discarded("the configuration is empty")
    try:
        main.decode()
    except UnicodeDecodeError as error:
        raise Discarded(f"the configuration is not UTF-8: {error}") from error
