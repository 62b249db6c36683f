"""States survive being written down; reports carry what the contract names."""

from datetime import UTC, datetime, timedelta

import pytest

from alertagent.sidecar.model import ErrorClass, Identity, Phase, Report, State
from tests.support.config_server import REPORT_FIELDS


@pytest.mark.parametrize("text", [b"", b"[]", b"null", b"{}", b'{"rejected": {}}', b'{"rejected": null, "more": 1}'])
def test_what_is_not_a_state_is_not_taken_for_one(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        State.decode(text)


def test_every_failure_says_how_far_the_configuration_came() -> None:
    assert {error_class: error_class.phase for error_class in ErrorClass}[ErrorClass.NOT_APPLIED] is Phase.RELOADED


def test_a_report_carries_exactly_the_fields_of_the_contract() -> None:
    report = Report(
        config_hash="d",
        applied_hash="a",
        rejected_hash="d",
        succeeded=False,
        error_class=ErrorClass.CHECK,
        error_message="bad",
        checker="promtool",
        target_version="2.42.0",
        duration=timedelta(seconds=1.5),
    )
    identity = Identity(cluster_id="c1", config_type="prometheus", instance="i")
    payload = report.payload(identity, datetime(2026, 11, 22, 14, 40, tzinfo=UTC))

    assert set(payload) == REPORT_FIELDS
    assert payload["status"] == "failed"
    assert payload["phase"] == "fetched"
    assert payload["duration_ms"] == 1500
    assert payload["sync_time"] == "2026-11-22T14:40:00Z"
