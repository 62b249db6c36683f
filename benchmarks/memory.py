"""How large `alertagent serve` gets while alerts are taken in, without its engines.

    python -m benchmarks.memory --alerts 1000000
    python -m benchmarks.memory --alerts 10000 --told

Alerts come in webhooks of a hundred over ten connections, each in a group of its own. Without `--told` nobody hears of
them, but groups are made and looked at all the same; with it a webhook channel hears of each by itself. Prints what is
resident once a number of alerts is taken in and all tasks that were due are done: everything, the part of it that no
other process can share, the most so far, and the computing time for a thousand alerts since the line before.
"""

import argparse
import asyncio
import shutil
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import orjson
import uvloop

from benchmarks.alerts import TICKS, TOKEN, Poster, Sender, alert, ours, receiving, say, webhook

MARKS = (10_000, 100_000, 200_000, 500_000, 1_000_000)
CONNECTIONS = 10
PATIENCE = 1_800.0
# By then the server has given back what it does not use.
AFTERWARDS = 60.0


async def post_all(sender: Sender, numbers: range, a_post: int) -> int:
    """Returns how often the server had no room and was asked again."""
    starts, refused = iter(numbers[::a_post]), 0
    loop = asyncio.get_running_loop()

    async def go_on(poster: Poster) -> None:
        nonlocal refused
        for start in starts:
            body = webhook([alert("m", number, "info") for number in numbers[start - numbers.start :][:a_post]])
            while not await is_taken(poster, body):
                refused += 1
                await asyncio.sleep(1)

    made = [await loop.create_connection(lambda: Poster(sender), "127.0.0.1", sender.port) for _ in range(CONNECTIONS)]
    await asyncio.gather(*(go_on(poster) for _, poster in made))
    for transport, _ in made:
        transport.close()
    return refused


async def is_taken(poster: Poster, body: bytes) -> bool:
    answer = await poster.ask(body)
    if answer.startswith(b"HTTP/1.1 503"):
        return False
    if not answer.startswith(b"HTTP/1.1 200"):
        raise SystemExit(f"a post was answered by {answer[:300]!r}")
    return True


def wait_until_done(port: int) -> None:
    """Until no task is due or under way."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/v1/queues/notification", headers={"Authorization": f"Bearer {TOKEN}"}
    )
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        with urllib.request.urlopen(request) as answer:  # noqa: S310
            found = orjson.loads(answer.read())["data"]
        if not found["due"] and not found["running"]:
            return
        time.sleep(0.5)
    raise SystemExit(f"tasks were still due after {PATIENCE:g} s")


def sizes(pid: int) -> tuple[float, float, float]:
    """MiB: resident, of those what no file stands behind, and the most that ever was resident."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines())
    resident, own, most = (int(status[name].split()[0]) / 1024 for name in ("VmRSS", "RssAnon", "VmHWM"))
    return resident, own, most


def computed(pid: int) -> float:
    """Seconds that the server itself has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def steps(alerts: int) -> Iterator[range]:
    before = 0
    for mark in (*(mark for mark in MARKS if mark < alerts), alerts):
        yield range(before, mark)
        before = mark


def show(what: str, pid: int, more: str = "") -> None:
    resident, own, most = sizes(pid)
    say(f"{what:>16} {resident:8.0f} {own:8.0f} {most:8.0f} {more}")


def measure(sender: Sender, alerts: int, a_post: int) -> None:
    pid = sender.processes[0]
    say(f"{'':16} {'resident':>8} {'own':>8} {'most':>8} MiB, and CPU s/1,000")
    show("idle", pid)
    for numbers in steps(alerts):
        before = computed(pid)
        refused = uvloop.run(post_all(sender, numbers, a_post))
        wait_until_done(sender.port)
        used = f"{(computed(pid) - before) / len(numbers) * 1000:8.2f}"
        show(f"{numbers.stop:,}", pid, used + (f", {refused} posts asked again" if refused else ""))
    time.sleep(AFTERWARDS)
    show("a minute later", pid)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--alerts", type=int, default=200_000)
    parser.add_argument("--a-post", type=int, default=100)
    parser.add_argument("--told", action="store_true")
    options = parser.parse_args()
    parent = Path(tempfile.mkdtemp(prefix="alertagent-bench-"))
    parent.chmod(0o711)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, parent)
        receiver = stack.enter_context(receiving()) if options.told else None
        sender = stack.enter_context(ours(parent / "memory", receiver))
        measure(sender, options.alerts, options.a_post)


if __name__ == "__main__":
    main()
