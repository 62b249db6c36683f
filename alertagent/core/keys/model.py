"""Keys as people see them, and how far a rotation has come. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownKey:
    """A key that the database knows. `seals`: what is written is sealed under it; `held`: this process has it."""

    id: str
    seals: bool
    held: bool
    added_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """`left` values lie in the clear or under another key than the one that seals."""

    source: str
    keys: Sequence[KnownKey]
    left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """`unreadable` names what does not open under any key at hand, and so stays as it is."""

    key: str
    sealed: int
    left: int
    done: bool
    unreadable: Sequence[str]
