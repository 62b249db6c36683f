"""The routing in force as a configuration that Alertmanager and amtool can read. Pure.

Receivers are named and no more: by what address a channel reaches somebody is no answer to a reader of alerts.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from alertagent.core.alertmanager.routes import routes_of
from alertagent.core.routing.document import RoutingDocument
from alertagent.core.routing.text import yaml_text


def names_of(document: RoutingDocument) -> Sequence[str]:
    """Every receiver: first those that the document lists, then the channels to which routes lead by their own name."""
    listed = [receiver.name or "" for receiver in document.receivers or ()]
    routed = [route.receiver for _, route in routes_of(document) if route.receiver]
    return list(dict.fromkeys([*listed, *routed]))


def written(values: Mapping[str, Any], receivers: Iterable[str]) -> str:
    """A document with these receivers, as YAML.

    The names of inhibitions are left out: Alertmanager before 0.30 refuses them.
    """
    rules = [{key: value for key, value in rule.items() if key != "name"} for rule in values.get("inhibit_rules") or ()]
    inhibitions = {"inhibit_rules": rules} if rules else {}
    return yaml_text({**values, **inhibitions, "receivers": [{"name": name} for name in receivers]})
