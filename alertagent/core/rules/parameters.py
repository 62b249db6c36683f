"""What a rule becomes in one cluster: its declared parameters are replaced by the cluster's values. Pure.

Only names that the rule declares are replaced, so `${1}` and `${name}` of label_replace stay what they are.
"""

import re
from collections.abc import Mapping
from dataclasses import replace

from alertagent.core.rules.model import RuleContent
from alertagent.kernel.durations import parse_duration

_PARAMETER = re.compile(r"\$\{([a-zA-Z_][a-zA-Z0-9_]*)\}")


def effective(rule: RuleContent, values: Mapping[str, str]) -> RuleContent:
    """The rule with these values, or its own defaults, in place. Raises ValueError when a duration is none."""
    if not rule.parameters:
        return rule
    known = {name: values.get(name, default) for name, default in rule.parameters.items()}
    expression = _PARAMETER.sub(lambda found: known.get(found[1], found[0]), rule.expression)
    duration = parse_duration(known[rule.duration_parameter]) if rule.duration_parameter in known else rule.duration
    return replace(rule, expression=expression, duration=duration, duration_parameter=None, parameters={})
