"""Which firing alerts inhibit others, kept so that a flush finds them by a key.

The sources of inhibitions are rows, written when alerts are put into their groups and once more for all that fires when
an inhibition is new. So no process remembers anything, and a flush costs what its own alerts cost, however many fire.
"""

from collections.abc import Iterable, Mapping, Sequence

from alertagent.core.alerts.firing import FiringAlerts
from alertagent.core.alerts.model import Alert
from alertagent.core.routing.inhibition import as_source, as_target
from alertagent.core.routing.model import Inhibition, RoutingTable
from alertagent.kernel.labels import Labels
from alertagent.kernel.matchers import Operator
from alertagent.storage.database import Executor, Transaction
from alertagent.storage.queries import load_queries

sql = load_queries("alertagent.core.notify")


async def note_sources(transaction: Transaction, table: RoutingTable, alerts: Sequence[Alert]) -> None:
    """Alerts changed: those that fire may inhibit, those that are over do not any more."""
    if not table.inhibitions:
        return
    ended = [alert.fingerprint for alert in alerts if not alert.is_firing]
    if ended:
        await transaction.execute(sql.forget_sources, ended)
    firing = [(alert.fingerprint, alert.labels) for alert in alerts if alert.is_firing]
    await _add(transaction, table.inhibitions, firing)


async def learn_sources(transaction: Transaction, table: RoutingTable, firing: FiringAlerts) -> None:
    """The inhibitions changed: look through all that fires. Again and again is fine."""
    await transaction.execute(sql.forget_rules, [rule.key for rule in table.inhibitions])
    for rule in table.inhibitions:
        having = {matcher.name: matcher.value for matcher in rule.source if matcher.operator is Operator.EQUAL}
        # A matcher for the empty value fits alerts without the label, too.
        fixed = {name: value for name, value in having.items() if value}
        async for some in firing.having(fixed, transaction):
            await _add(transaction, [rule], [(alert.fingerprint, alert.labels) for alert in some])


async def inhibitors(
    executor: Executor, table: RoutingTable, alerts: Iterable[tuple[str, Labels]]
) -> Mapping[str, tuple[str, ...]]:
    """What inhibits these alerts, given by fingerprint and labels: of each the fingerprints of a few that fire."""
    asked = [
        (key, side.rule, side.agreed, side.is_both)
        for key, labels in alerts
        for side in as_target(table.inhibitions, labels)
    ]
    if not asked:
        return {}
    found: dict[str, set[str]] = {}
    for row in await executor.fetch(sql.inhibitors, *map(list, zip(*asked, strict=True))):
        found.setdefault(row["fingerprint"], set()).add(row["inhibitor"])
    return {fingerprint: tuple(sorted(sources)) for fingerprint, sources in found.items()}


async def _add(transaction: Transaction, rules: Sequence[Inhibition], alerts: Iterable[tuple[str, Labels]]) -> None:
    rows = sorted(
        (side.rule, side.agreed, fingerprint, side.is_both)
        for fingerprint, labels in alerts
        for side in as_source(rules, labels)
    )
    if rows:
        await transaction.execute(sql.add_sources, *map(list, zip(*rows, strict=True)))
