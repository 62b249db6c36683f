"""One number that counts every change a rendered configuration depends on.

Whoever changes a rule or a cluster counts it up in the same transaction; whoever serves a configuration compares
it with the number at which that was rendered. So a configuration is never served stale, even while no task runs.
A trigger tells the number to every process that listens; this one knows it as soon as the transaction is durable.
"""

from alertagent.storage.database import Executor, Transaction
from alertagent.storage.queries import load_queries

GENERATION_CHANNEL = "alertagent_generation"
CLUSTER_CHANNEL = "alertagent_cluster"

sql = load_queries("alertagent.core.clusters")


async def count_change(transaction: Transaction, cluster_id: str | None = None) -> None:
    """Count up; with a cluster, those who wait for its configuration look again."""
    number = await transaction.fetchval(sql.count_change)
    transaction.tell(GENERATION_CHANNEL, str(number))
    if cluster_id is not None:
        await transaction.execute(sql.announce, CLUSTER_CHANNEL, cluster_id)
        transaction.tell(CLUSTER_CHANNEL, cluster_id)


async def generation(executor: Executor) -> int:
    number: int = await executor.fetchval(sql.generation)
    return number
