from alertagent.kernel.errors import Permanent
from alertagent.kernel.matchers import parse_matcher
from alertagent.queue.dead_letters import Match
from alertagent.queue.policy import Why
from alertagent.queue.streams import FIELD
from alertagent.queue.task import NewTask, Task
from tests.queue.bench import Bench, task, until


async def refuse(_: Task) -> None:
    raise Permanent("no such channel")


async def nothing(_: Task) -> None:
    pass


async def buried(bench: Bench, *tasks: NewTask) -> None:
    async with bench.workers({"note": refuse}):
        await bench.enqueue(*tasks)
        await bench.letters(len(tasks))


async def test_they_are_listed_newest_first_and_by_page(bench: Bench) -> None:
    for _ in range(3):
        new = task()
        async with bench.workers({"note": refuse}):
            await bench.enqueue(new)
            await until(lambda new=new: _ended(bench, new))  # type: ignore[misc]  # a default argument binds it now

    first = await bench.dead.newest(limit=2)
    second = await bench.dead.newest(before=first[-1].id, limit=2)

    assert [len(first), len(second)] == [2, 1]
    assert first[0].id > first[1].id > second[0].id
    assert await bench.dead.get(first[0].id) == first[0]
    assert await bench.dead.get("1-1") is None


async def test_a_requeued_task_runs_again_with_all_its_retries(bench: Bench) -> None:
    new = task(max_retry=0)
    await buried(bench, new)
    [letter] = await bench.dead.newest()

    assert await bench.dead.requeue([letter.id]) == [letter]
    assert await bench.dead.requeue([letter.id, "1-1"]) == []

    async with bench.workers({"note": nothing}):
        assert await bench.finished(2) == ["buried", "completed"]
    row = await bench.row(new)
    assert (row.status, row.retry) == ("completed", 0)
    assert await bench.dead.newest() == []


async def test_what_is_no_task_cannot_be_requeued(bench: Bench) -> None:
    async with bench.workers({"note": nothing}):
        await bench.redis.xadd(bench.keys.stream(1), {FIELD: b"garbage"})
        [letter] = await bench.letters(1)

    assert await bench.dead.requeue([letter.id]) == []
    assert await bench.dead.newest() == [letter]


async def test_they_are_listed_requeued_and_purged_by_what_they_are(bench: Bench) -> None:
    async with bench.workers({"note": refuse, "page": refuse}):
        await bench.redis.xadd(bench.keys.stream(1), {FIELD: b"garbage"})
        await bench.enqueue(*(task() for _ in range(2)), *(task("page") for _ in range(3)))
        await bench.letters(6)

    pages = await bench.dead.newest(Match(type="page"))
    assert [letter.type for letter in pages] == ["page"] * 3
    assert await bench.dead.newest(Match(type="page"), limit=2) == pages[:2]
    assert await bench.dead.newest(Match(type="page"), before=pages[1].id) == pages[2:]
    assert await bench.dead.newest(Match(task=pages[0].task)) == pages[:1]
    assert await bench.dead.newest(Match(type="page", why=Why.UNREADABLE)) == []

    assert await bench.dead.purge(Match(why=Why.UNREADABLE)) == 1
    assert [letter.id for letter in await bench.dead.requeue(Match(type="page"))] == [letter.id for letter in pages]
    assert {letter.type for letter in await bench.dead.newest()} == {"note"}
    assert await bench.dead.purge(Match()) == 2


async def test_they_are_matched_as_alerts_are(bench: Bench) -> None:
    async with bench.workers({"note": refuse, "page": refuse}):
        await bench.redis.xadd(bench.keys.stream(1), {FIELD: b"garbage"})
        await bench.enqueue(task(), task("page"))
        await bench.letters(3)

    async def types(*matchers: str) -> set[str | None]:
        match = Match(matchers=[parse_matcher(matcher) for matcher in matchers])
        return {letter.type for letter in await bench.dead.newest(match)}

    assert await types('type=~"no.*|page"') == {"note", "page"}
    assert await types('why!="unreadable"', 'type!="note"') == {"page"}
    assert await types('error=~".*no such channel"') == {"note", "page"}
    assert await types('type=""') == {None}


async def test_what_others_left_there_is_shown_as_far_as_it_goes(bench: Bench) -> None:
    await bench.redis.xadd(bench.keys.dead, {b"\xff": b"\xfe", "why": "because", "runs": "many", "at": "\xff"})

    [letter] = await bench.dead.newest()

    assert (letter.task, letter.why, letter.runs, letter.envelope) == (None, Why.UNREADABLE, 0, b"")
    assert await bench.dead.requeue([letter.id]) == []
    assert await bench.dead.purge([letter.id]) == 1


async def test_purged_ones_are_gone(bench: Bench) -> None:
    await buried(bench, task(), task())
    ids = [letter.id for letter in await bench.dead.newest()]

    assert await bench.dead.purge([ids[0], "1-1"]) == 1
    assert await bench.dead.purge([]) == 0

    assert [letter.id for letter in await bench.dead.newest()] == ids[1:]


async def _ended(bench: Bench, new: NewTask) -> bool:
    return (await bench.row(new)).completed_at is not None
