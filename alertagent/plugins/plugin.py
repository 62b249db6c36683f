"""What every plugin is, whether it tells people or explains alerts: a name, a description and checked settings."""

from abc import ABC
from collections.abc import Mapping
from typing import Any, ClassVar, Generic

from alertagent.plugins import config as settings
from alertagent.plugins.addresses import AddressGuard
from alertagent.plugins.config import ConfigT
from alertagent.plugins.languages import Bilingual


class Plugin(ABC, Generic[ConfigT]):
    """Stateless: one object serves every channel, so the settings come in with each call.

    `name` is what channels refer to; `Config` is the model of its settings.
    """

    name: ClassVar[str]
    version: ClassVar[str]
    display_name: ClassVar[Bilingual]
    description: ClassVar[Bilingual]
    Config: type[ConfigT]

    def validate_config(self, raw: object) -> ConfigT:
        """Check settings by themselves. Raises Invalid with the place of each finding."""
        return settings.parse(self.Config, raw)

    async def check_config(self, config: ConfigT, guard: AddressGuard) -> None:
        """Check at save time what needs the network: may these addresses be called? Raises Invalid."""

    def config_schema(self) -> dict[str, Any]:
        """The JSON Schema from which forms are drawn."""
        return self.Config.model_json_schema()

    def secret_fields(self) -> frozenset[str]:
        return settings.secret_fields(self.Config)

    def mask_config(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        """Settings fit for reading: `"***"` for every secret."""
        return settings.mask(raw, self.secret_fields())

    def merge_config(self, new: Mapping[str, Any], stored: Mapping[str, Any]) -> dict[str, Any]:
        """New settings in which `"***"` keeps the stored secret."""
        return settings.merge(new, stored, self.secret_fields())
