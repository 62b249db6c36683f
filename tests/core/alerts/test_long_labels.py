"""Labels are as long as a sender likes, and nothing makes these shorter: an index would not hold them whole."""

import random
from datetime import timedelta

import pytest

from alertagent.kernel.clock import rfc3339
from alertagent.kernel.labels import fingerprint
from tests.core.alerts.house import House
from tests.core.notify.test_groups import add_channel, messages
from tests.support.sink import Sink


def long_text() -> str:
    """15 kB that do not compress."""
    chance = random.Random(0)
    return "".join(chr(chance.randrange(0x4E00, 0x9FFF)) for _ in range(5000))


@pytest.mark.parametrize("name", ["alertname", "instance", "namespace", "cluster", "other"])
async def test_an_alert_with_a_long_label_is_stored_told_and_analysed(house: House, sink: Sink, name: str) -> None:
    await add_channel(house, sink)
    labels = {"alertname": "A", "instance": "i", "severity": "critical", name: long_text()}
    await house.post({"labels": labels, "startsAt": rfc3339(house.clock.now() - timedelta(minutes=1))})
    await house.work()

    assert [len(message["firing"]) for message in messages(sink)] == [1]
    assert (await house.parts.alerts.get(fingerprint(labels))).analysis_status == "analyzed"


async def test_those_on_an_instance_with_a_long_name_are_related_and_others_are_not(house: House) -> None:
    long = long_text()
    alert = await house.fire("A", instance=long)
    await house.fire("B", instance=long)
    await house.fire("C", instance=long[:-1])

    related = await house.parts.alerts.related(alert)

    assert [other.labels["alertname"] for other in related] == ["B"]
