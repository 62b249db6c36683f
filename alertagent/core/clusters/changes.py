"""One number that counts every change a rendered configuration depends on.

Whoever changes a rule or a cluster counts it up in the same transaction; whoever serves a configuration compares
it with the number at which that was rendered. So a configuration is never served stale, even while no task runs.
"""

from alertagent.storage.database import Executor
from alertagent.storage.queries import load_queries

sql = load_queries("alertagent.core.clusters")


async def count_change(transaction: Executor) -> None:
    await transaction.execute(sql.count_change)


async def generation(executor: Executor) -> int:
    number: int = await executor.fetchval(sql.generation)
    return number
