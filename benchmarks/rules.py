"""How long 10,000 rules take to be judged, against `promtool check rules` on the same file.

    python -m benchmarks.rules --rounds 5

Prints medians in seconds, and how many times faster than promtool that is. Every round of ours is a process of its
own, so that nothing is remembered from the round before. `checked` judges rules that are in memory, as a batch or a
start does; `read and checked` begins with the file, as promtool does; `one changed` judges all of them again after
one was edited.
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from alertagent.core.rules.check import check_rule
from alertagent.core.rules.files import read_rules, write_rules
from alertagent.core.rules.model import Kind, RuleContent

SERVICES = ["cart", "checkout", "search", "billing", "login", "catalog", "stock", "mail", "export", "gateway"]
SHAPES = [
    ("{s}_errors_total", 'sum by (instance) (rate({m}{{job="{j}", code=~"5.."}}[5m])) > {n}'),
    ("{s}_requests_total", 'sum(rate({m}{{job="{j}",code!~"2.."}}[5m])) / sum(rate({m}{{job="{j}"}}[5m])) > 0.{n}'),
    ("{s}_duration_seconds_bucket", 'histogram_quantile(0.99, sum by (le) (rate({m}{{job="{j}"}}[10m]))) > {n}'),
    ("{s}_up", 'up{{job="{j}", instance=~"{j}-[0-9]+:9090"}} == 0'),
    ("{s}_queue_length", 'avg_over_time({m}{{job="{j}"}}[15m]) > {n} and {m}{{job="{j}"}} > {n}'),
    ("{s}_free_bytes", 'predict_linear({m}{{job="{j}", mountpoint!~"/(boot|run).*"}}[6h], 24 * 3600) < 0'),
    ("{s}_last_success_seconds", 'time() - max by (instance) ({m}{{job="{j}"}}) > {n} * 60'),
    ("{s}_restarts_total", 'increase({m}{{job="{j}", namespace=~"prod-.+"}}[1h]) > {n} unless on (pod) {m}_ignored'),
    ("{s}_replicas", '({m}{{job="{j}"}} != {m}_wanted{{job="{j}"}}) and changes({m}{{job="{j}"}}[10m]) == 0'),
    ("{s}_certificate_seconds", '({m}{{job="{j}"}} - time()) / 86400 < {n}'),
]


def rules(count: int) -> Iterator[RuleContent]:
    """Rules as a large installation has them: few shapes, with other names, jobs, thresholds and words in each."""
    chance = random.Random(7)
    for number in range(count):
        service, (metric, shape) = chance.choice(SERVICES), chance.choice(SHAPES)
        job, name = f"{service}-{chance.randrange(400)}", metric.format(s=service)
        expression = shape.format(m=name, j=job, n=chance.randint(1, 90))
        labels = {"team": chance.choice(SERVICES), "severity": chance.choice(["critical", "warning", "info"])}
        group = f"{service}-{number // 40}"
        if number % 10 == 9:
            record = f"{name}:rule{number}"
            yield RuleContent(
                name=record,
                kind=Kind.RECORDING,
                record=record,
                expression=expression,
                labels=labels,
                annotations={},
                group=group,
            )
            continue
        annotations = {
            "summary": f"{job}: {{{{ $labels.instance }}}} is not well (rule {number})",
            "description": f"{name} is {{{{ $value | humanize }}}} on {{{{ $labels.instance }}}}, expected of {job}.",
            "runbook_url": f"https://runbooks.example.com/{service}/{number}",
        }
        if number % 7 == 0:
            annotations["detail"] = (
                "{{ with printf \"up{job='%s'}\" $labels.job | query }}{{ . | first | value }}{{ end }}"
            )
        yield RuleContent(
            name=f"{service.title()}Alert{number}",
            expression=expression,
            duration=timedelta(minutes=chance.choice([1, 5, 15])),
            labels=labels,
            annotations=annotations,
            group=group,
        )


def ours(file: Path) -> dict[str, float]:
    """One round, in this process."""
    body = file.read_bytes()
    began = time.perf_counter()
    read = read_rules(body)
    seconds = {"read and checked": time.perf_counter() - began}
    contents = [rule.content for rule in read.rules]
    contents[5_000] = replace(contents[5_000], expression="changed == 0")
    seconds["one changed"] = _checked(contents)
    return seconds


def ours_in_memory(count: int) -> dict[str, float]:
    contents = list(rules(count))
    return {"checked": _checked(contents)}


def _checked(contents: list[RuleContent]) -> float:
    began = time.perf_counter()
    findings = [check_rule(content) for content in contents]
    seconds = time.perf_counter() - began
    if any(findings):
        raise SystemExit(f"a rule of the benchmark is not fine: {next(filter(None, findings))}")
    return seconds


def promtool(file: Path) -> float:
    began = time.perf_counter()
    subprocess.run(["promtool", "check", "rules", str(file)], check=True, stdout=subprocess.DEVNULL)  # noqa: S603, S607
    return time.perf_counter() - began


def round_of_ours(*arguments: str) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.rules", *arguments]
    told: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)  # noqa: S603
    return told


def compare(rounds: int, count: int) -> None:
    seconds: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "rules.yml"
        file.write_bytes(write_rules(rules(count)))
        for _ in range(rounds):
            found = {"promtool": promtool(file)}
            found |= round_of_ours("--file", str(file)) | round_of_ours("--memory", "--count", str(count))
            for name, each in found.items():
                seconds.setdefault(name, []).append(each)
    yardstick = statistics.median(seconds["promtool"])
    for name, each in seconds.items():
        median = statistics.median(each)
        print(f"{name:18} median {median:7.3f}  worst {max(each):7.3f}  {yardstick / median:6.1f} x promtool")  # noqa: T201


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--memory", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.file is not None:
        print(json.dumps(ours(options.file)))  # noqa: T201
    elif options.memory:
        print(json.dumps(ours_in_memory(options.count)))  # noqa: T201
    else:
        compare(options.rounds, options.count)


if __name__ == "__main__":
    main()
