"""The rules that stand in a file, each with its line, and what is wrong with the file and where. Pure.

The tree that is walked here holds texts only. What Prometheus does with numbers, truths and nulls where it wants a
text is done here too: it takes them as they are written, and null as empty.
"""

from dataclasses import dataclass

from alertagent.core.rules.model import Dialect, RuleContent
from alertagent.kernel.errors import Detail
from alertagent.kernel.yaml_guard import Limits

Loc = tuple[str | int, ...]

LIMITS = Limits(size=16 * 1024 * 1024, depth=32, nodes=1_000_000, aliases=100_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedRule:
    """A rule and the line of the file where it begins."""

    content: RuleContent
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleFile:
    """What a file holds. With errors its rules are those that could be read at all."""

    rules: tuple[PlacedRule, ...] = ()
    errors: tuple[Detail, ...] = ()
    warnings: tuple[Detail, ...] = ()


def read_rules(body: bytes, dialect: Dialect = Dialect.PROMQL) -> RuleFile:
    """Read and check a rule file, a PrometheusRule object or a list of such. Never raises.

    The dialect decides for whom the file is: PromQL for Prometheus, MetricsQL for vmalert with its own fields.
    """
    raise NotImplementedError
