"""`alertagent plugins` as a process of its own, against a running service."""

import json
from pathlib import Path

from alertagent.app import Service
from tests.support.serve import Ended, run
from tests.support.service import ADMIN_TOKEN
from tests.support.sink import Answer, Sink


async def plugins(service: Service, *arguments: str) -> Ended:
    environment = {"ALERTAGENT_SERVER": service.address, "ALERTAGENT_TOKEN": ADMIN_TOKEN}
    return await run("plugins", *arguments, environment=environment)


async def test_the_list_names_them_all(service: Service) -> None:
    table = await plugins(service, "list")
    rows = json.loads((await plugins(service, "list", "-o", "json")).stdout)

    assert table.stdout.splitlines()[0] == "NAME\tVERSION\tENABLED\tSOURCE\tWHAT"
    assert "dingtalk\t" in table.stdout
    assert "A custom robot in a DingTalk group" in table.stdout
    assert {"dingtalk", "webhook"} <= {row["name"] for row in rows}


async def test_trying_one_out_tells_what_the_provider_said(service: Service, sink: Sink, tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"url": sink.url}))
    sink.answer_next(Answer(), Answer(status=403, body=b"wrong room"))

    taken = await plugins(service, "test", "webhook", "--config", str(config))
    refused = await plugins(service, "test", "webhook", "--config", str(config))

    assert (taken.status, taken.stdout) == (0, "delivered http.200 ok\n")
    assert (refused.status, refused.stdout) == (1, "refused http.403 wrong room\n")


async def test_settings_that_are_none_are_refused_before_anybody_is_asked(service: Service, tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text("{url: x}")

    broken = await plugins(service, "test", "webhook", "--config", str(config))
    config.write_text('{"urls": "x"}')
    wrong = await plugins(service, "test", "webhook", "--config", str(config))
    unknown = await plugins(service, "test", "none", "--config", str(config))

    assert (broken.status, wrong.status, unknown.status) == (2, 1, 1)
    assert "this is not JSON" in broken.stderr
    assert "url" in wrong.stderr
    assert "there is no notification plugin 'none'" in unknown.stderr
