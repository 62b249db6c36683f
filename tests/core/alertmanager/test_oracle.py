"""Alertmanager's own tool and Alertmanager itself have the last word: do we say what they say?"""

import io
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import yaml

from tests.core.alertmanager.samples import BAD, GOOD, SHOP, SHOP_TEMPLATES
from tests.support.alertmanager import Alertmanager, amtool, write
from tests.support.prometheus import running
from tests.support.service import Api

pytestmark = pytest.mark.monitoring

PATH = "/clusters/c1/alertmanager-config"


async def verdicts(directory: Path, texts: dict[str, str]) -> dict[str, bool]:
    """Whether amtool accepts each of these texts."""
    return {name: (await amtool("check-config", str(write(directory, text))))[0] == 0 for name, text in texts.items()}


async def test_amtool_accepts_every_good_sample(tmp_path: Path) -> None:
    assert await verdicts(tmp_path, GOOD) == dict.fromkeys(GOOD, True)


async def test_amtool_refuses_every_bad_sample(tmp_path: Path) -> None:
    assert await verdicts(tmp_path, {name: text for name, (text, _) in BAD.items()}) == dict.fromkeys(BAD, False)


@pytest.fixture
async def alertmanager(tmp_path: Path) -> AsyncIterator[Alertmanager]:
    write(tmp_path, GOOD["the smallest"])
    async with running(Alertmanager(tmp_path)) as server:
        yield server


def unpack(bundle: bytes, directory: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(bundle)) as tar:
        for member in tar:
            file, place = tar.extractfile(member), directory / member.name
            if file is not None:
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(file.read())


async def test_a_real_alertmanager_runs_what_is_served(api: Api, tmp_path: Path, alertmanager: Alertmanager) -> None:
    await api.post("/clusters", {"id": "c1", "config_types": ["alertmanager"]})
    stored = await api.put(PATH, {"config": SHOP, "templates": SHOP_TEMPLATES})
    assert stored.status == 200, stored.body

    bundle = await api.get("/config/sync?cluster_id=c1&type=alertmanager&format=bundle")
    unpack(bundle.body, tmp_path)

    status, output = await amtool("check-config", str(tmp_path / "alertmanager.yml"))
    assert (status, " - 1 templates" in output, output.count("SUCCESS")) == (0, True, 2)
    assert await alertmanager.reload() == (200, "")
    shown = yaml.safe_load(await alertmanager.configuration())
    assert shown["templates"] == [str(path) for path in (tmp_path / "alertagent-templates").glob("*/*")]
    assert shown["route"]["routes"][0]["receiver"] == "pager"
