"""`alertagent serve --demo`: everything that somebody who looks around for the first time should find."""

from pathlib import Path

import aiohttp

from tests.support.prometheus import eventually
from tests.support.serve import Serve
from tests.support.service import Api


async def test_the_demo_shows_rules_clusters_alerts_and_notifications(data_dir: Path) -> None:
    serve = Serve("--demo", "--port", "0", "--data-dir", str(data_dir), environment={})
    await serve.spawn()
    address = await serve.greeted()
    token = (await serve.said("Token (shown only now): ")).rpartition(" ")[2]

    async with aiohttp.ClientSession() as session:
        api = Api(session, address, token)
        assert len((await api.get("/rules")).data) >= 12
        assert {cluster["id"] for cluster in (await api.get("/clusters")).data} == {"prod-bj", "prod-sh"}

        async def has_alerts() -> bool:
            return bool((await api.get("/alerts?filter=status=firing")).data)

        await eventually(has_alerts)

    await serve.stdout.wait_for(lambda lines: any(line.startswith("[FIRING] ") for line in lines), 20)
    assert await serve.terminate() == 0
