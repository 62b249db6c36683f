"""Snapshots of configurations, what sidecars report, and how far a rule has come. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from alertagent.core.clusters.model import Cluster, ConfigType, is_targeted
from alertagent.core.configs.gating import Gate, Note, Treatment
from alertagent.core.configs.render import belongs
from alertagent.core.rules.model import Dialect, Rule, Status, version_name
from alertagent.core.rules.parameters import effective

RULE_TYPES = (ConfigType.PROMETHEUS, ConfigType.VMALERT)

# Failures in which nobody judged the configuration: the server, the disk or the target was not there for it.
UNJUDGED = frozenset({"server", "integrity", "io", "unreachable", "forbidden", "misdirected"})


# What a sidecar has done with what is wanted, in order; the word of a report says how far it came.
FIRST_PHASE, LAST_PHASE = "desired", "observed"


class SyncStatus(StrEnum):
    """How a sidecar's last try ended."""

    SUCCESS = "success"
    FAILED = "failed"


class State(StrEnum):
    """How far one rule is on one target: still only wanted, proven to run, or refused."""

    PENDING = "pending"
    ACTIVE = "active"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A rendered configuration, without its bytes. `generation` counts the changes that it takes into account.

    `is_bundle`: its bytes are an archive, of the file and of others that go with it.
    """

    cluster_id: str
    config_type: ConfigType
    revision: int
    generation: int
    hash: str
    is_bundle: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a sidecar says about itself and its target."""

    cluster_id: str
    config_type: ConfigType
    instance: str
    status: SyncStatus
    sync_time: datetime
    error_message: str | None = None
    error_class: str | None = None
    phase: str | None = None
    config_hash: str | None = None
    applied_hash: str | None = None
    rejected_hash: str | None = None
    checker: str | None = None
    target_version: str | None = None
    duration_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SidecarStatus:
    """The last report of one sidecar, beside what its target should run.

    `held_back` and `shortened` count the rules that the desired configuration leaves out, whole or in part.
    """

    report: Report
    received_at: datetime
    desired_hash: str | None
    desired_revision: int | None
    desired_since: datetime | None = None
    drifted_at: datetime | None = None
    held_back: int = 0
    shortened: int = 0

    @property
    def is_current(self) -> bool:
        """Whether the target runs what it should."""
        return self.desired_hash is not None and self.report.applied_hash == self.desired_hash

    @property
    def phase(self) -> str:
        """How far the sidecar has come with what is wanted now."""
        if self.is_current:
            return LAST_PHASE
        about_it = self.report.config_hash is None or self.report.config_hash == self.desired_hash
        return (self.report.phase if about_it else None) or FIRST_PHASE

    @property
    def refuses_desired(self) -> bool:
        """Whether the target, or the checker in its place, was given what is wanted now and would not have it.

        A hash once rejected stays so, whatever else goes wrong later; a report that names no hash at all is taken to
        be about what is wanted.
        """
        report = self.report
        if report.status is not SyncStatus.FAILED:
            return False
        if report.rejected_hash is not None and report.rejected_hash == self.desired_hash:
            return True
        return report.error_class not in UNJUDGED and report.config_hash in {None, self.desired_hash}


Gates = Mapping[tuple[str, ConfigType], Gate]
"""(cluster, type) -> what its targets understand."""

Applied = Mapping[tuple[str, str, str, str], int]
"""(cluster, type, instance, rule) -> the revision of the rule that this target runs."""

Noted = Mapping[tuple[str, str, str], tuple[int, tuple[Note, ...]]]
"""(cluster, type, rule) -> what is left out of this revision of the rule there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetState:
    """One rule on one target. `instance` is None while no sidecar has reported.

    `phase` says how far what is wanted has come: desired, fetched, validated, written, reloaded, observed.
    `expression` and `duration` are those of this cluster, with its parameters in place.
    """

    cluster_id: str
    config_type: ConfigType
    instance: str | None = None
    state: State = State.PENDING
    phase: str = FIRST_PHASE
    sync_status: str = "pending"
    config_hash: str | None = None
    desired_hash: str | None = None
    applied_version: str | None = None
    target_version: str | None = None
    sync_time: datetime | None = None
    received_at: datetime | None = None
    error_message: str | None = None
    expression: str | None = None
    duration: timedelta | None = None
    notes: tuple[Note, ...] = ()


def target_states(
    rule: Rule, clusters: Iterable[Cluster], sidecars: Iterable[SidecarStatus], applied: Applied, noted: Noted
) -> list[TargetState]:
    """Every place where this rule should run, whether anybody is there or not."""
    if not rule.content.enabled:
        return []
    known = list(clusters)
    reports: dict[tuple[str, str], list[SidecarStatus]] = {}
    for sidecar in sidecars:
        reports.setdefault((sidecar.report.cluster_id, sidecar.report.config_type), []).append(sidecar)
    states: list[TargetState] = []
    for cluster, config_type in _places(rule, known):
        wanted = _wanted(rule, cluster, config_type, noted)
        found = reports.get((cluster.id, config_type), [])
        states += [judged(rule.id, rule.revision, wanted, sidecar, applied) for sidecar in found] or [wanted]
    return states + _voiceless(rule, known) + _nowhere(rule, known)


def status_of(rule: Rule, states: Iterable[TargetState]) -> Status:
    """How far a rule is with all of its targets."""
    worst = worst_of(states)
    return Status.INACTIVE if worst is None else Status(worst)


def worst_of(states: Iterable[TargetState]) -> State | None:
    """Refused before pending before active; None where nobody is waited for."""
    found = {state.state for state in states}
    return next((state for state in (State.ERROR, State.PENDING, State.ACTIVE) if state in found), None)


def _places(rule: Rule, clusters: Iterable[Cluster]) -> Iterator[tuple[Cluster, ConfigType]]:
    for cluster in clusters:
        for config_type in RULE_TYPES:
            if config_type in cluster.config_types and belongs(rule, cluster, config_type):
                yield cluster, config_type


def _wanted(rule: Rule, cluster: Cluster, config_type: ConfigType, noted: Noted) -> TargetState:
    """The rule on this target before anybody has said anything of it."""
    revision, notes = noted.get((cluster.id, config_type, rule.id), (rule.revision, ()))
    notes = notes if revision == rule.revision else ()
    held_back = next((note for note in notes if note.kind is Treatment.QUARANTINED), None)
    expression, duration = _effective(rule, cluster)
    return TargetState(
        cluster_id=cluster.id,
        config_type=config_type,
        state=State.ERROR if held_back else State.PENDING,
        error_message=f"held back: {held_back.message}" if held_back else None,
        expression=expression,
        duration=duration,
        notes=notes,
    )


def _effective(rule: Rule, cluster: Cluster) -> tuple[str | None, timedelta | None]:
    try:
        content = effective(rule.content, cluster.parameters)
    except ValueError:
        return rule.content.expression, None
    return content.expression, content.duration


def judged(id: str, newest: int, wanted: TargetState, sidecar: SidecarStatus, applied: Applied) -> TargetState:
    """How far the newest revision of a rule, or of whatever else is in the configuration, is with one sidecar.

    What is held back was never given to it.
    """
    report, held_back = sidecar.report, wanted.state is State.ERROR
    place = (report.cluster_id, report.config_type, report.instance)
    revision = None if held_back else applied.get((*place, id))
    current = revision == newest
    refused = not current and sidecar.refuses_desired
    return replace(
        wanted,
        instance=report.instance,
        state=State.ERROR if held_back or refused else State.ACTIVE if current else State.PENDING,
        phase=FIRST_PHASE if held_back else LAST_PHASE if current else sidecar.phase,
        sync_status=report.status,
        config_hash=report.applied_hash,
        desired_hash=sidecar.desired_hash,
        applied_version=version_name(revision) if revision is not None else None,
        target_version=report.target_version,
        sync_time=report.sync_time,
        received_at=sidecar.received_at,
        error_message=wanted.error_message if held_back else report.error_message,
    )


def _voiceless(rule: Rule, clusters: Iterable[Cluster]) -> list[TargetState]:
    """Clusters that are meant and have no vmalert, for a rule that only vmalert understands."""
    if rule.content.dialect is not Dialect.METRICSQL:
        return []
    return [
        TargetState(
            cluster_id=cluster.id,
            config_type=ConfigType.PROMETHEUS,
            state=State.ERROR,
            error_message=f'MetricsQL runs on vmalert only, and cluster "{cluster.id}" has none in its config_types',
        )
        for cluster in clusters
        if ConfigType.PROMETHEUS in cluster.config_types
        and ConfigType.VMALERT not in cluster.config_types
        and belongs(rule, cluster, ConfigType.VMALERT)
    ]


def _nowhere(rule: Rule, clusters: Iterable[Cluster]) -> list[TargetState]:
    """Targets that name nobody yet: they wait for a cluster to appear."""
    known = list(clusters)
    missing = (target for target in rule.content.targets if not any(is_targeted(c, target) for c in known))
    return [TargetState(cluster_id=target, config_type=ConfigType.PROMETHEUS) for target in missing]
