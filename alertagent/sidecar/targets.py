"""The monitoring servers that a sidecar serves, and what is special about each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from aiohttp import ClientSession

from alertagent.kernel.errors import Fatal
from alertagent.sidecar.alertmanager import Alertmanager
from alertagent.sidecar.check import Command
from alertagent.sidecar.content import Content
from alertagent.sidecar.rule_target import RuleTarget
from alertagent.sidecar.shape import look_at_alertmanager, look_at_rules
from alertagent.sidecar.site import Site
from alertagent.sidecar.vmalert import Vmalert


class Target(Protocol):
    """A server that loads one configuration. Its methods raise Undecided when it cannot be asked."""

    def mark_of(self, main: bytes) -> str | None:
        """What a target running exactly this file shows; None when it is no generated file of its type."""
        ...

    async def running(self) -> frozenset[str]:
        """The marks it shows now; several when it loads several generated files."""
        ...

    async def reload(self) -> None:
        """Raises Rejected when it refuses the file. Returning proves nothing yet."""
        ...

    async def lagging(self, main: bytes) -> frozenset[str]:
        """The groups that do not run as this file says yet, although the target has accepted it."""
        ...

    async def version(self) -> str | None: ...

    async def files_by_group(self) -> Mapping[str, str]:
        """The groups of rules that run, and the file that each comes from as the target names it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One type: the tool that judges its files, what we look at ourselves, and how long its proof may take."""

    check: Command
    look: Callable[[Content], None]
    target: Callable[[Site], Target]
    proof: timedelta = timedelta(seconds=30)
    has_templates: bool = False


KINDS: Mapping[str, Kind] = {
    "prometheus": Kind(check=Command("promtool", ("check", "rules")), look=look_at_rules, target=RuleTarget),
    "vmalert": Kind(
        check=Command("vmalert", ("-dryRun", "-rule=")),
        look=look_at_rules,
        target=Vmalert,
        # After a start, a changed group takes its new rules at its first evaluation only, up to an interval later.
        proof=timedelta(seconds=90),
    ),
    "alertmanager": Kind(
        check=Command("amtool", ("check-config",)),
        look=look_at_alertmanager,
        target=Alertmanager,
        has_templates=True,
    ),
}


def kind_of(config_type: str) -> Kind:
    """Raises Fatal for a type that nobody knows."""
    if config_type not in KINDS:
        raise Fatal(f"this sidecar cannot govern {config_type!r}; it can {', '.join(KINDS)}")
    return KINDS[config_type]


def target_for(kind: Kind, session: ClientSession, reload_url: str) -> Target:
    """Raises Fatal for a URL that cannot work."""
    return kind.target(Site(session, reload_url))
