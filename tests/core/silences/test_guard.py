"""Matchers that would mute whatever fires."""

import pytest

from alertagent.core.silences.guard import fits_any, refusal
from tests.core.silences.samples import matchers


@pytest.mark.parametrize(
    ("texts", "any_alert"),
    [
        (['alertname=~".+"'], True),
        (['alertname=~".*"'], True),
        (['alertname!=""'], True),
        (['alertname!="Watchdog"'], True),
        (['alertname=~"[A-Z].*"'], True),
        (['team!="db"'], True),
        (['team!~"db|web"', 'alertname=~".+"'], True),
        (['severity=~".+"'], True),
        (['severity!="critical"'], True),
        (['instance=~".+"', 'job!=""'], True),
        (['alertname="DiskFull"'], False),
        (['alertname=~"Disk.*"'], False),
        (['severity="critical"'], False),
        (['alertname=~".+"', 'severity=~"critical|warning"'], False),
        (['cluster=~".+"'], False),
        (['maintenance="true"'], False),
        (['team!="db"', 'cluster="prod"'], False),
    ],
)
def test_matchers_that_fit_what_nobody_thought_of(texts: list[str], any_alert: bool) -> None:
    assert fits_any(matchers(*texts)) is any_alert


def test_the_refusal_names_how_many_and_the_way_out() -> None:
    problem = refusal(12, 12, any_alert=False)

    assert problem.code == "silence.mutes_everything"
    assert "12 of the 12" in problem.message
    assert '"mute_all": true' in problem.message
