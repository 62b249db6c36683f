from io import StringIO

import pytest

from alertagent.plugins.notifiers.console import Console, readable
from alertagent.plugins.outcome import Delivered
from alertagent.plugins.transport import Transport
from tests.support.messages import NOON, make_alert, make_message

PRINTED = """\
[FIRING] HighCPU (critical) since 2026-11-22T14:40:00Z
  CPU usage is over 90%
  - firing alertname="HighCPU" instance="a:9100" severity="critical"
"""


async def test_a_notification_is_printed(transport: Transport) -> None:
    stream = StringIO()
    console = Console(stream)

    outcome = await console.send(console.validate_config({}), make_message(), transport, now=NOON)

    assert outcome == Delivered()
    assert stream.getvalue() == PRINTED


async def test_it_goes_to_standard_output_by_default(transport: Transport, capsys: pytest.CaptureFixture[str]) -> None:
    console = Console()

    await console.send(console.validate_config({}), make_message(), transport, now=NOON)

    assert capsys.readouterr().out == PRINTED


def test_a_label_cannot_talk_to_the_terminal() -> None:
    hostile = "\x1b[2J\x1b]0;owned\x07\nfake line\r"
    alert = make_alert(hostile, severity=hostile)

    text = readable(make_message(alert, title=hostile, content=hostile))

    assert all(character.isprintable() for character in text.replace("\n", ""))
    assert len(text.splitlines()) == 4


async def test_it_is_always_healthy(transport: Transport) -> None:
    console = Console()

    assert (await console.health_check(console.validate_config({}), transport)).healthy
