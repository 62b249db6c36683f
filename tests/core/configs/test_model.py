"""How far a rule has come, as a table of what sidecars report."""

from datetime import timedelta
from typing import Any

import pytest

from alertagent.core.clusters.model import ConfigType
from alertagent.core.configs.model import (
    UNJUDGED,
    Report,
    SidecarStatus,
    State,
    SyncStatus,
    TargetState,
    status_of,
    target_states,
)
from alertagent.core.rules.model import Status
from alertagent.sidecar.model import ErrorClass
from tests.core.configs.samples import NOON, make_cluster, make_rule

WANTED, OLDER = "a" * 64, "b" * 64


def make_sidecar(instance: str = "s1", *, desired: str | None = WANTED, **report: Any) -> SidecarStatus:
    values: dict[str, Any] = {
        "cluster_id": "c1",
        "config_type": ConfigType.PROMETHEUS,
        "instance": instance,
        "status": SyncStatus.SUCCESS,
        "sync_time": NOON,
        **report,
    }
    return SidecarStatus(
        report=Report(**values), received_at=NOON + timedelta(seconds=1), desired_hash=desired, desired_revision=1
    )


def failed(error_class: str | None = None, **report: Any) -> SidecarStatus:
    return make_sidecar(status=SyncStatus.FAILED, error_class=error_class, error_message="it says why", **report)


REFUSALS = [
    (make_sidecar(), False),
    (failed(), True),  # the five fields that are enough
    (failed(config_hash=WANTED), True),
    (failed(config_hash=OLDER), False),
    (failed("check", config_hash=WANTED), True),
    (failed("refused", config_hash=WANTED), True),
    (failed("not_applied", config_hash=WANTED), True),
    (failed("somebody's own word", config_hash=WANTED), True),
    *((failed(error_class, config_hash=WANTED), False) for error_class in sorted(UNJUDGED)),
    (failed("unreachable"), False),
    (failed("check", config_hash=WANTED, rejected_hash=WANTED), True),
    (failed("unreachable", config_hash=WANTED, rejected_hash=WANTED), True),
    (failed("unreachable", config_hash=WANTED, rejected_hash=OLDER), False),
    (failed("server", config_hash=OLDER, rejected_hash=OLDER), False),
    (failed("check", config_hash=OLDER, rejected_hash=OLDER), False),
    (make_sidecar(error_class="drift", config_hash=WANTED, applied_hash=WANTED), False),
]


@pytest.mark.parametrize(("sidecar", "refuses"), REFUSALS)
def test_only_a_judgement_on_what_is_wanted_is_a_refusal(sidecar: SidecarStatus, refuses: bool) -> None:
    assert sidecar.refuses_desired is refuses


def test_every_class_of_a_sidecars_failures_is_a_judgement_or_not() -> None:
    assert {each.value for each in ErrorClass} - UNJUDGED == {"check", "refused", "not_applied", "drift"}


@pytest.mark.parametrize(
    ("sidecar", "applied", "state", "version"),
    [
        (make_sidecar(applied_hash=WANTED), 2, State.ACTIVE, "v1.0.1"),
        (make_sidecar(applied_hash=OLDER), 1, State.PENDING, "v1.0.0"),
        (make_sidecar(applied_hash=OLDER), None, State.PENDING, None),
        (failed("check", config_hash=WANTED, applied_hash=OLDER), 1, State.ERROR, "v1.0.0"),
        (failed("check", config_hash=WANTED, applied_hash=OLDER), None, State.ERROR, None),
        # Something newer was refused, and this rule runs in its present version all the same.
        (failed("check", config_hash=WANTED, applied_hash=OLDER), 2, State.ACTIVE, "v1.0.1"),
        (failed("unreachable", config_hash=WANTED, applied_hash=OLDER), 1, State.PENDING, "v1.0.0"),
        (failed("check", config_hash=OLDER, rejected_hash=OLDER), None, State.PENDING, None),
    ],
)
def test_the_state_on_one_target(
    sidecar: SidecarStatus, applied: int | None, state: State, version: str | None
) -> None:
    rule = make_rule(revision=2)
    revisions = {} if applied is None else {("c1", "prometheus", "s1", rule.id): applied}

    (target,) = target_states(rule, [make_cluster()], [sidecar], revisions, {})

    assert (target.state, target.applied_version, target.instance) == (state, version, "s1")
    assert (target.sync_status, target.error_message) == (sidecar.report.status, sidecar.report.error_message)


def test_every_place_is_told_whether_anybody_is_there_or_not() -> None:
    both = (ConfigType.PROMETHEUS, ConfigType.VMALERT, ConfigType.ALERTMANAGER)
    clusters = [make_cluster("c1", config_types=both), make_cluster("c2", labels={"env": "prod"}), make_cluster("c3")]
    rule = make_rule(targets=("c1", 'env="prod"', "not-yet", 'env="test"'))

    states = target_states(rule, clusters, [make_sidecar("s2"), make_sidecar("s1")], {}, {})

    assert [(state.cluster_id, state.config_type.value, state.instance) for state in states] == [
        ("c1", "prometheus", "s2"),
        ("c1", "prometheus", "s1"),
        ("c1", "vmalert", None),
        ("c2", "prometheus", None),
        ("not-yet", "prometheus", None),
        ('env="test"', "prometheus", None),
    ]
    assert {state.state for state in states} == {State.PENDING}


def test_a_disabled_rule_has_no_targets() -> None:
    assert target_states(make_rule(enabled=False), [make_cluster()], [make_sidecar()], {}, {}) == []


@pytest.mark.parametrize(
    ("states", "status"),
    [
        ([], Status.INACTIVE),
        ([State.ACTIVE], Status.ACTIVE),
        ([State.ACTIVE, State.PENDING], Status.PENDING),
        ([State.PENDING, State.ERROR, State.ACTIVE], Status.ERROR),
    ],
)
def test_a_rule_is_as_far_as_its_worst_target(states: list[State], status: Status) -> None:
    targets = [TargetState(cluster_id="c1", config_type=ConfigType.PROMETHEUS, state=state) for state in states]

    assert status_of(make_rule(), targets) is status
