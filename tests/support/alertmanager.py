"""A real Alertmanager on a free port, and its own tool."""

import asyncio
import json
import re
from pathlib import Path

import aiohttp

from tests.support.prometheus import RuleServer


async def amtool(*arguments: str) -> tuple[int, str]:
    """Exit status and output of amtool, without its warnings."""
    process = await asyncio.create_subprocess_exec(
        "amtool", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


class Alertmanager(RuleServer):
    """Loads `alertmanager.yml` in its directory."""

    def command(self) -> list[str]:
        return [
            "prometheus-alertmanager",
            f"--config.file={self._directory / 'alertmanager.yml'}",
            f"--storage.path={self._directory / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--cluster.listen-address=",
        ]

    async def is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.returncode is None, self.log.read_text()
        try:
            status, _ = await self._get("/-/ready")
        except aiohttp.ClientError:
            return False
        return status == 200

    async def reload(self) -> tuple[int, str]:
        """Status and words of the answer: Alertmanager says why it refuses."""
        async with aiohttp.ClientSession() as session, session.post(self.reload_url) as response:
            return response.status, await response.text()

    async def configuration_hash(self) -> int:
        """What it shows of the very bytes that it loaded: the first six of their MD5 as a number, lowest first."""
        _, body = await self._get("/metrics")
        return int(float(re.findall(rb"^alertmanager_config_hash (\S+)$", body, re.MULTILINE)[0]))

    async def configuration(self) -> str:
        """What runs, as Alertmanager shows it."""
        _, body = await self._get("/api/v2/status")
        text: str = json.loads(body)["config"]["original"]
        return text


def write(directory: Path, text: str) -> Path:
    path = directory / "alertmanager.yml"
    path.write_text(text)
    return path
