"""Alertmanager's own tool has the last word: do we send an alert where it says?"""

from pathlib import Path

import pytest

from alertagent.core.alertmanager.check import check
from alertagent.core.routing.table import tree_of
from tests.core.alertmanager.samples import SHOP, SHOP_TEMPLATES
from tests.support.alertmanager import amtool, write

pytestmark = pytest.mark.monitoring


@pytest.mark.parametrize(
    "labels",
    [
        {},
        {"severity": "page", "team": "db"},
        {"severity": "page", "team": "web", "service": "bar-1"},
        {"team": "cache", "env": "dev"},
        {"team": "cache", "env": ""},
        {"service": "foo-"},
        {"service": "a-foo-b"},
    ],
)
async def test_amtool_sends_an_alert_where_we_say(tmp_path: Path, labels: dict[str, str]) -> None:
    document = check(SHOP, SHOP_TEMPLATES).document
    assert document is not None

    path = write(tmp_path, SHOP)
    _, output = await amtool(
        "config", "routes", "test", "--config.file", str(path), *(f"{name}={value}" for name, value in labels.items())
    )

    assert output.strip() == ",".join(route.receiver for route in tree_of(document).takers(labels))
