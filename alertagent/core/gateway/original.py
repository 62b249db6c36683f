"""The routing in force as a configuration that Alertmanager and amtool can read. Pure.

Receivers are named and no more: by what address a channel reaches somebody is no answer to a reader of alerts.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from alertagent.core.alertmanager.routes import routes_of
from alertagent.core.routing.document import RoutingDocument
from alertagent.core.routing.model import Route
from alertagent.core.routing.text import values_of, yaml_text
from alertagent.kernel.durations import format_duration


def names_of(document: RoutingDocument) -> Sequence[str]:
    """Every receiver: first those that the document lists, then the channels to which routes lead by their own name."""
    listed = [receiver.name or "" for receiver in document.receivers or ()]
    routed = [route.receiver for _, route in routes_of(document) if route.receiver]
    return list(dict.fromkeys([*listed, *routed]))


def written(document: RoutingDocument) -> str:
    """A stored document. The names of inhibitions are left out: Alertmanager before 0.30 refuses them."""
    values = values_of(document)
    if rules := values.get("inhibit_rules"):
        values["inhibit_rules"] = [{key: value for key, value in rule.items() if key != "name"} for rule in rules]
    return yaml_text({**values, "receivers": _receivers(names_of(document))})


def written_default(route: Route, names: Sequence[str]) -> str:
    """What is in force while no document is stored: one route without matchers."""
    values = {
        "receiver": route.receiver,
        "group_by": list(route.group_by or ()),
        "group_wait": format_duration(route.group_wait),
        "group_interval": format_duration(route.group_interval),
        "repeat_interval": format_duration(route.repeat_interval),
    }
    return yaml_text({"route": values, "receivers": _receivers(names)})


def _receivers(names: Sequence[str]) -> list[Mapping[str, Any]]:
    return [{"name": name} for name in names]
