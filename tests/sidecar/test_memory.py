"""A rejected hash waits, longer each time; another one does not."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from alertagent.sidecar.files import LiveFile
from alertagent.sidecar.memory import Memory
from alertagent.sidecar.model import ErrorClass, Rejected, State, Version

W = Version(served="w", disk="d")
VERDICT = Rejected("bad", ErrorClass.CHECK)


@pytest.fixture
def live(tmp_path: Path) -> LiveFile:
    return LiveFile(tmp_path / "rules.yml")


def longest() -> float:
    return 0.999


async def test_a_rejected_hash_is_barred_longer_each_time(live: LiveFile) -> None:
    memory = Memory(live, longest)
    waits = []
    for _ in range(10):
        memory.reject("r", VERDICT)
        waits.append(round(memory.retry_in.total_seconds()))

    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]
    assert memory.barred == "r"


async def test_jitter_lets_it_through_after_half_the_time_but_never_at_once(live: LiveFile) -> None:
    memory = Memory(live, lambda: 0.0)
    for _ in range(4):
        memory.reject("r", VERDICT)

    assert memory.barred == "r"
    assert round(memory.retry_in.total_seconds()) == 4


async def test_another_hash_starts_anew(live: LiveFile) -> None:
    memory = Memory(live, longest)
    memory.reject("r", VERDICT)
    memory.reject("r", VERDICT)
    memory.reject("s", VERDICT)

    assert memory.barred == "s"
    assert memory.retry_in <= timedelta(seconds=1)


async def test_a_restart_forgets_nothing(live: LiveFile) -> None:
    before = Memory(live, longest)
    before.save(State(written=W, applied=W, last_good="d"))
    for _ in range(4):
        before.reject("r", VERDICT)
    after = Memory(live, longest)

    assert after.state == before.state
    assert round(after.retry_in.total_seconds()) == 8


async def test_what_nobody_wants_any_more_is_forgiven(live: LiveFile) -> None:
    memory = Memory(live, longest)
    memory.save(State(written=W))
    memory.reject("r", VERDICT)
    memory.forgive()

    assert (memory.barred, memory.state) == (None, State(written=W))
    assert Memory(live, longest).state == replace(memory.state)


async def test_a_damaged_state_is_a_fresh_start(live: LiveFile, capsys: pytest.CaptureFixture[str]) -> None:
    Memory(live, longest).save(State(written=W))
    next(live.path.parent.glob(".*-state")).write_bytes(b"{")

    assert Memory(live, longest).state == State()
    assert "state.unreadable" in capsys.readouterr().out
