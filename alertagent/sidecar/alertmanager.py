"""Alertmanager, which says itself what it runs: a hash of its configuration file's bytes stands among its metrics.

The hash says nothing of template files. It need not: their directory is named after their content and stands in the
configuration, and they are there before a reload is asked for.
"""

import re
from collections.abc import Mapping
from hashlib import md5

from alertagent.kernel.strange_json import decoded
from alertagent.sidecar.site import Site

_SAMPLE = re.compile(rb"^(alertmanager_config_hash|alertmanager_config_last_reload_successful) (\S+)$", re.MULTILINE)
_HASH, _IS_WELL = b"alertmanager_config_hash", b"alertmanager_config_last_reload_successful"


class Alertmanager:
    def __init__(self, site: Site) -> None:
        self._site = site

    def mark_of(self, main: bytes) -> str | None:
        """What `alertmanager_config_hash` shows for these bytes: six bytes of their MD5 as a number, lowest first."""
        return str(int.from_bytes(md5(main, usedforsecurity=False).digest()[:6], "little"))

    async def running(self) -> frozenset[str]:
        """Nothing while its last reload failed: the hash is then that of a file which is no longer there."""
        samples = dict(_SAMPLE.findall(await self._site.page("metrics")))
        try:
            is_well, number = float(samples[_IS_WELL]), int(float(samples[_HASH]))
        except (LookupError, ValueError, OverflowError) as error:
            raise self._site.misdirected("shows no metrics of Alertmanager") from error
        return frozenset({str(number)}) if is_well else frozenset()

    async def reload(self) -> None:
        await self._site.reload()

    async def version(self) -> str | None:
        status, body = await self._site.get("api/v2/status")
        try:
            return str(decoded(body)["versionInfo"]["version"]) if status == 200 else None
        except (ValueError, LookupError, TypeError):
            return None

    async def lagging(self, main: bytes) -> frozenset[str]:
        return frozenset()

    async def files_by_group(self) -> Mapping[str, str]:
        return {}
