"""Settings on their way into the database, for whatever is a plugin with settings: channels and analyzers."""

from collections.abc import Mapping
from typing import Any

from alertagent.kernel.errors import Detail, Invalid
from alertagent.plugins.addresses import AddressGuard
from alertagent.plugins.plugin import Plugin


async def checked(
    plugin: Plugin[Any], config: Mapping[str, Any], stored: Mapping[str, Any], guard: AddressGuard
) -> dict[str, Any]:
    """The settings as they are stored, `"***"` replaced by the stored secret.

    Raises Invalid with the place of each finding below `config`.
    """
    try:
        merged = plugin.merge_config(config, stored)
        await plugin.check_config(plugin.validate_config(merged), guard)
    except Invalid as problem:
        details = [Detail(("config", *found.loc), found.message) for found in problem.details]
        raise Invalid(problem.message, code=problem.code, details=details) from problem
    return merged


def masked(plugin: Plugin[Any] | None, config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings fit for reading; of a plugin that is gone, nothing is known to be harmless."""
    return plugin.mask_config(config) if plugin is not None else dict.fromkeys(config, "***")
