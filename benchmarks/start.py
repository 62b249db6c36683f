"""How long `alertagent serve` takes to start on embedded engines, against an interpreter that only starts.

    python -m benchmarks.start --rounds 10

Prints medians and worst cases in seconds: an empty data directory (cold), an existing one (warm), the stop, and the
resident memory of the service when it is idle.
"""

import argparse
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from socket import socket

PATIENCE = 30.0


def free_port() -> int:
    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2):
            return True
    except OSError:
        return False


def one_round(data_dir: Path) -> tuple[float, float, float]:
    """Seconds until requests are taken, seconds to stop, MiB resident."""
    port = free_port()
    command = [sys.executable, "-m", "alertagent", "serve", "--port", str(port), "--data-dir", str(data_dir)]
    began = time.perf_counter()
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:  # noqa: S603
        while not is_ready(port):
            if process.poll() is not None or time.perf_counter() - began > PATIENCE:
                raise SystemExit(f"{' '.join(command)} did not come up")
            time.sleep(0.005)
        ready = time.perf_counter() - began
        memory = resident(process.pid)
        process.send_signal(signal.SIGTERM)
        began = time.perf_counter()
        process.wait(PATIENCE)
        return ready, time.perf_counter() - began, memory


def resident(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text("ascii")
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS"))


def interpreter() -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import aiohttp, asyncpg, redis, pydantic"], check=True)
    return time.perf_counter() - began


def told(what: str, seconds: list[float], yardstick: float) -> None:
    median = statistics.median(seconds)
    print(f"{what:32} median {median:6.2f}  worst {max(seconds):6.2f}  {median / yardstick:5.1f} x the imports alone")  # noqa: T201


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    rounds: int = parser.parse_args().rounds
    # Not the caller's own temporary directory: as root the engines run as a user who could not enter it.
    parent = Path(tempfile.mkdtemp(prefix="alertagent-benchmark-"))
    parent.chmod(0o711)
    try:
        yardstick = statistics.median(interpreter() for _ in range(rounds))
        cold = [one_round(parent / str(number)) for number in range(rounds)]
        warm = [one_round(parent / "0") for _ in range(rounds)]
    finally:
        shutil.rmtree(parent)
    told("empty data directory", [ready for ready, _, _ in cold], yardstick)
    told("existing data directory", [ready for ready, _, _ in warm], yardstick)
    told("stop", [stop for _, stop, _ in warm], yardstick)
    print(f"{'resident, idle':32} median {statistics.median(memory for _, _, memory in warm):6.0f} MiB")  # noqa: T201


if __name__ == "__main__":
    main()
