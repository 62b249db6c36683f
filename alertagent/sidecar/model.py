"""What a sidecar knows, remembers and says. Pure."""

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Self

from alertagent.kernel.clock import rfc3339
from alertagent.kernel.errors import Delayed, Fatal
from alertagent.kernel.strange_json import decoded


class Phase(StrEnum):
    """How far a configuration came on its way into the target."""

    DESIRED = "desired"
    FETCHED = "fetched"
    VALIDATED = "validated"
    WRITTEN = "written"
    RELOADED = "reloaded"
    OBSERVED = "observed"


class ErrorClass(StrEnum):
    SERVER = "server"
    INTEGRITY = "integrity"
    IO = "io"
    CHECK = "check"
    REFUSED = "refused"
    NOT_APPLIED = "not_applied"
    UNREACHABLE = "unreachable"
    FORBIDDEN = "forbidden"
    MISDIRECTED = "misdirected"
    DRIFT = "drift"

    @property
    def phase(self) -> Phase:
        """The last thing that still worked when this went wrong."""
        return _PHASES[self]


_PHASES = {
    ErrorClass.SERVER: Phase.DESIRED,
    ErrorClass.INTEGRITY: Phase.DESIRED,
    ErrorClass.IO: Phase.FETCHED,
    ErrorClass.CHECK: Phase.FETCHED,
    ErrorClass.REFUSED: Phase.WRITTEN,
    ErrorClass.NOT_APPLIED: Phase.RELOADED,
    ErrorClass.UNREACHABLE: Phase.WRITTEN,
    ErrorClass.FORBIDDEN: Phase.WRITTEN,
    ErrorClass.MISDIRECTED: Phase.WRITTEN,
    ErrorClass.DRIFT: Phase.OBSERVED,
}


class Failed(Delayed):
    """A pass that did not end with the desired configuration proven."""

    def __init__(self, message: str, error_class: ErrorClass, *, retry_after: timedelta | None = None) -> None:
        super().__init__(message, retry_after=retry_after)
        self.error_class = error_class


class Away(Failed):
    """The server gave nothing to work with, so file and target stay as they are."""

    def __init__(self, message: str, *, retry_after: timedelta | None = None) -> None:
        super().__init__(message, ErrorClass.SERVER, retry_after=retry_after)


class Unadopted(Failed):
    """What runs here could not be brought to the server, so the server has nothing to offer yet."""

    def __init__(self, message: str) -> None:
        super().__init__(message, ErrorClass.SERVER)


class Discarded(Failed):
    """What the server sent is not what it announced."""

    def __init__(self, message: str) -> None:
        super().__init__(message, ErrorClass.INTEGRITY)


class Unwritable(Failed):
    """The disk refused."""

    def __init__(self, message: str) -> None:
        super().__init__(message, ErrorClass.IO)


class Rejected(Failed):
    """The configuration was judged and found bad: by us, by the checker or by the target."""


class Undecided(Failed):
    """Nobody judged the configuration: the target is down, is starting, or does not let itself be reloaded."""


class Locked(Fatal):
    """Another sidecar owns the directory."""


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One configuration by two hashes: of the bytes that the server sent, and of what they are on disk.

    They differ for bundles only.
    """

    served: str
    disk: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """A hash that is not to be tried again before its time. `attempts` counts from 1."""

    hash: str
    error_class: ErrorClass
    reason: str
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What must survive a restart, all of it as hashes.

    `written` was last put in place, `applied` was last seen running. `last_good` is the copy kept for the way
    back: the applied configuration or, before the first, what stood there when we came (None: nothing did).
    """

    written: Version | None = None
    applied: Version | None = None
    last_good: str | None = None
    rejected: Rejection | None = None

    def encode(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Raises ValueError when the text is not a state."""
        try:
            fields = decoded(data)
            return cls(
                written=_version(fields["written"]),
                applied=_version(fields["applied"]),
                last_good=fields["last_good"],
                rejected=_rejection(fields["rejected"]),
            )
        except (LookupError, TypeError) as error:
            raise ValueError(f"not a sidecar's state: {error}") from error


def _version(fields: dict[str, str] | None) -> Version | None:
    return None if fields is None else Version(**fields)


def _rejection(fields: dict[str, Any] | None) -> Rejection | None:
    return None if fields is None else Rejection(**(fields | {"error_class": ErrorClass(fields["error_class"])}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Whose configuration this sidecar keeps, and which of the cluster's sidecars it is."""

    cluster_id: str
    config_type: str
    instance: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What the server is told after a pass. `config_hash` is the one desired, whatever became of it."""

    config_hash: str | None
    applied_hash: str | None
    rejected_hash: str | None
    succeeded: bool
    error_class: ErrorClass | None
    error_message: str | None
    checker: str
    target_version: str | None
    duration: timedelta

    @property
    def phase(self) -> Phase:
        return self.error_class.phase if self.error_class else Phase.OBSERVED

    def payload(self, identity: Identity, moment: datetime) -> dict[str, object]:
        return {
            "cluster_id": identity.cluster_id,
            "config_type": identity.config_type,
            "instance": identity.instance,
            "status": "success" if self.succeeded else "failed",
            "sync_time": rfc3339(moment),
            "error_message": self.error_message,
            "config_hash": self.config_hash,
            "applied_hash": self.applied_hash,
            "rejected_hash": self.rejected_hash,
            "phase": self.phase,
            "error_class": self.error_class,
            "checker": self.checker,
            "target_version": self.target_version,
            "duration_ms": self.duration // timedelta(milliseconds=1),
        }
