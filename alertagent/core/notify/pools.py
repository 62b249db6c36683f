"""Which channels may be the pool of another: robots that speak for it when it has no room. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from alertagent.core.notify.model import Channel
from alertagent.kernel.errors import Detail, Invalid
from alertagent.plugins.base import NotificationPlugin


def check_pool(
    name: str,
    pool: Sequence[str],
    plugin: NotificationPlugin[Any],
    known: Mapping[str, Channel],
    *,
    speaks_for: str | None,
) -> None:
    """Raises Invalid with the place of each finding. `speaks_for`: another channel in whose pool this one is."""
    details = [*_of_channel(plugin, speaks_for)]
    for place, member in enumerate(pool):
        if (finding := _of_member(name, plugin, member, known.get(member))) is not None:
            details.append(Detail(("pool", place), finding))
        elif member in pool[:place]:
            details.append(Detail(("pool", place), f'channel "{member}" is in the pool twice'))
    if details:
        more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
        message = f"the pool cannot be used as it is: {details[0].message}{more}"
        raise Invalid(message, code="channel.pool_invalid", details=details)


def _of_channel(plugin: NotificationPlugin[Any], speaks_for: str | None) -> Iterator[Detail]:
    if plugin.keeps_incidents:
        yield Detail(("pool",), f"{plugin.name} keeps incidents: another key could not close what this one opened")
    elif not plugin.limits.rates:
        yield Detail(("pool",), f"{plugin.name} has no limit, so this channel never lacks room")
    if speaks_for is not None:
        yield Detail(("pool",), f'this channel is in the pool of "{speaks_for}", so it cannot have one')


def _of_member(name: str, plugin: NotificationPlugin[Any], member: str, channel: Channel | None) -> str | None:
    if member == name:
        return "a channel comes first anyway, and cannot be in its own pool"
    if channel is None:
        return f'there is no channel "{member}"'
    if channel.plugin_name != plugin.name:
        return f'channel "{member}" is of the plugin {channel.plugin_name}, not {plugin.name}'
    if channel.pool:
        return f'channel "{member}" has a pool itself'
    return None
