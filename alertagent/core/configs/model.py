"""Snapshots of configurations, what sidecars report, and how far a rule has come. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from alertagent.core.clusters.model import Cluster, ConfigType, is_targeted
from alertagent.core.configs.render import belongs
from alertagent.core.rules.model import Rule, Status, version_name
from alertagent.kernel.errors import Conflict

RULE_TYPES = (ConfigType.PROMETHEUS, ConfigType.VMALERT)

# Failures in which nobody judged the configuration: the server, the disk or the target was not there for it.
UNJUDGED = frozenset({"server", "integrity", "io", "unreachable", "forbidden", "misdirected"})


class SyncStatus(StrEnum):
    """How a sidecar's last try ended."""

    SUCCESS = "success"
    FAILED = "failed"


class Form(StrEnum):
    """How a configuration is handed out: by itself, or as an archive with the files that go with it."""

    PLAIN = "plain"
    BUNDLE = "bundle"


class State(StrEnum):
    """How far one rule is on one target: still only wanted, proven to run, or refused."""

    PENDING = "pending"
    ACTIVE = "active"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A rendered configuration as it is served. `generation` counts the changes that it takes into account."""

    cluster_id: str
    config_type: ConfigType
    revision: int
    generation: int
    hash: str
    body: bytes
    rules: Mapping[str, int]
    bundle: bytes | None
    bundle_hash: str | None
    needs_bundle: bool

    def offered(self, form: Form) -> tuple[str, bytes]:
        """Hash and bytes in this form. Raises Conflict where there is no such form."""
        if form is Form.BUNDLE:
            if self.bundle is None or self.bundle_hash is None:
                raise Conflict(f"a {self.config_type} configuration is one file", code="config.no_bundle")
            return self.bundle_hash, self.bundle
        if self.needs_bundle:
            message = "this configuration has template files; ask for it with format=bundle"
            raise Conflict(message, code="config.needs_bundle")
        return self.hash, self.body


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
    """The last report of one sidecar, beside what its target should run."""

    report: Report
    received_at: datetime
    desired_hash: str | None
    desired_revision: int | None

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


Applied = Mapping[tuple[str, str, str, str], int]
"""(cluster, type, instance, rule) -> the revision of the rule that this target runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetState:
    """One rule on one target. `instance` is None while no sidecar has reported."""

    cluster_id: str
    config_type: ConfigType
    instance: str | None = None
    state: State = State.PENDING
    sync_status: str = "pending"
    config_hash: str | None = None
    applied_version: str | None = None
    sync_time: datetime | None = None
    error_message: str | None = None


def target_states(
    rule: Rule, clusters: Iterable[Cluster], sidecars: Iterable[SidecarStatus], applied: Applied
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
        found = reports.get((cluster.id, config_type), [])
        states += [judged(rule.id, rule.revision, sidecar, applied) for sidecar in found] or [
            TargetState(cluster_id=cluster.id, config_type=config_type)
        ]
    return states + _nowhere(rule, known)


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


def judged(id: str, wanted: int, sidecar: SidecarStatus, applied: Applied) -> TargetState:
    """How far this revision of a rule, or of whatever else is in the configuration, is with one sidecar."""
    report = sidecar.report
    revision = applied.get((report.cluster_id, report.config_type, report.instance, id))
    current = revision == wanted
    refused = not current and sidecar.refuses_desired
    return TargetState(
        cluster_id=report.cluster_id,
        config_type=report.config_type,
        instance=report.instance,
        state=State.ACTIVE if current else State.ERROR if refused else State.PENDING,
        sync_status=report.status,
        config_hash=report.applied_hash,
        applied_version=version_name(revision) if revision is not None else None,
        sync_time=report.sync_time,
        error_message=report.error_message,
    )


def _nowhere(rule: Rule, clusters: Iterable[Cluster]) -> list[TargetState]:
    """Targets that name nobody yet: they wait for a cluster to appear."""
    known = list(clusters)
    missing = (target for target in rule.content.targets if not any(is_targeted(c, target) for c in known))
    return [TargetState(cluster_id=target, config_type=ConfigType.PROMETHEUS) for target in missing]
