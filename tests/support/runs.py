"""An analysis run that is kept in memory: what a plugin notes, and the callback that it opens."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from alertagent.plugins.analysis import Callback


@dataclass
class Notebook:
    """`log` has every note in the order in which it was made."""

    id: str = "0192f0c1-0000-7000-8000-000000000001"
    deadline: datetime = field(default_factory=lambda: datetime.now(UTC) + timedelta(minutes=10))
    kept: dict[str, str] = field(default_factory=dict)
    log: list[dict[str, str]] = field(default_factory=list)
    callbacks: int = 0

    @property
    def notes(self) -> Mapping[str, str]:
        return self.kept

    async def note(self, **notes: str) -> None:
        self.kept |= notes
        self.log.append(notes)

    async def open_callback(self, within: timedelta) -> Callback:
        self.callbacks += 1
        self.deadline = datetime.now(UTC) + within
        return Callback(url=f"http://127.0.0.1/api/v1/analysis/callbacks/{self.id}", token=f"token-{self.callbacks}")
