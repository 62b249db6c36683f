"""What a matcher demands of a label's value, as far as can be read off it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from alertagent.kernel.matchers import Matcher, Operator
from alertagent.kernel.patterns import read_pattern


@dataclass(frozen=True, slots=True)
class Demand:
    """The value of `matcher.name` is one of `values`, or else begins with `prefix` and has `inner` in it.

    It is never empty.
    """

    matcher: Matcher
    values: Sequence[str]
    prefix: str = ""
    inner: str = ""


def demand_of(matcher: Matcher) -> Demand | None:
    """None where an alert without the label fits, or whatever is not one value."""
    if matcher.operator.is_negative or matcher.matches({}):
        return None
    if matcher.operator is Operator.EQUAL:
        return Demand(matcher, (matcher.value,))
    reading = read_pattern(matcher.value)
    if reading.values:
        return Demand(matcher, reading.values)
    return Demand(matcher, (), reading.prefix, reading.inner)
