"""Rules in from files and out into files."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from alertagent.core.audit.model import Actor
from alertagent.core.clusters.model import Cluster, is_targeted
from alertagent.core.clusters.service import Clusters
from alertagent.core.rules.edits import MAX_FINDINGS, Author, Edit
from alertagent.core.rules.files import Format, RuleFile, read_rules, write_rules
from alertagent.core.rules.importing import Terms, match, plan_import
from alertagent.core.rules.journal import Journal
from alertagent.core.rules.live import MAX_BODY, PATH, read_live
from alertagent.core.rules.model import Dialect, Rule, RuleContent
from alertagent.core.rules.parameters import effective
from alertagent.core.rules.rows import rule_of
from alertagent.core.rules.service import LISTING, places, rules_of
from alertagent.kernel.clock import Clock
from alertagent.kernel.errors import Conflict, Detail, External, Invalid, Permanent
from alertagent.plugins.transport import HttpRequest, Transport
from alertagent.storage.database import Database, Executor
from alertagent.storage.pages import PageRequest, fetch_page
from alertagent.storage.queries import load_queries

sql = load_queries("alertagent.core.rules")

# As many as there may be: an export is one page.
EVERYTHING = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file as it came; the name is empty where there is but one and nobody said what it is called."""

    name: str = ""
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What an import did, or in a dry run would do: a rule of the files each, and then those that go."""

    edits: list[Edit]
    warnings: tuple[str, ...]


class Exchange:
    """Imports and exports."""

    def __init__(
        self, database: Database, journal: Journal, clusters: Clusters, transport: Transport, clock: Clock
    ) -> None:
        self._database = database
        self._journal = journal
        self._clusters = clusters
        self._transport = transport
        self._clock = clock

    async def take_in(
        self,
        actor: Actor,
        files: Sequence[File],
        dialect: Dialect,
        terms: Terms,
        *,
        dry_run: bool = False,
        only_first_of: Cluster | None = None,
    ) -> Imported:
        """Store what the files hold, all of it or nothing. Raises Invalid with the place of every mistake.

        `only_first_of`: Conflict where this cluster has rules already.
        """
        read, warnings = await asyncio.to_thread(_read_all, files, dialect)
        author = Author(name=actor.name, at=self._clock.now())
        async with self._database.transaction() as transaction:
            if not dry_run:
                await transaction.execute(sql.lock_imports)
            if only_first_of is not None:
                await self.require_none(only_first_of, transaction)
            stored = await self._stored(transaction, read, terms, lock=not dry_run)
            matches = await asyncio.to_thread(match, read, stored, terms)
            new = await places(transaction, matches.count(None), kept=not dry_run)
            edits = await asyncio.to_thread(plan_import, read, matches, stored, terms, new=new, author=author)
            if not dry_run:
                await self._journal.write(transaction, actor, edits)
        return Imported(edits=edits, warnings=warnings)

    async def require_none(self, cluster: Cluster, executor: Executor | None = None) -> None:
        """Raises Conflict where any rule is for this cluster."""
        rows = await (executor or self._database).fetch(sql.targets)
        if any(is_targeted(cluster, row["target"]) for row in rows):
            raise Conflict(f'there are rules for cluster "{cluster.id}" already', code="adopt.not_empty")

    async def fetch(self, cluster_id: str, dialect: Dialect) -> File:
        """What the server of a cluster runs, as a file. Raises NotFound, Conflict, External."""
        cluster = await self._clusters.get(cluster_id)
        if cluster.query_url is None:
            raise Conflict(f'cluster "{cluster_id}" has no query_url to ask for its rules', code="cluster.no_query_url")
        url = cluster.query_url.rstrip("/") + PATH
        try:
            answer = await self._transport.send(HttpRequest(method="GET", url=url, answer_limit=MAX_BODY))
        except Permanent as error:
            raise External(error.message, code=error.code) from error
        said = f'what cluster "{cluster_id}" answers to {PATH}'
        if answer.status != 200 or len(answer.body) >= MAX_BODY:
            trouble = f"HTTP {answer.status}" if answer.status != 200 else f"over {MAX_BODY} bytes"
            raise External(f"{said} is of no use: {trouble}", code="cluster.rules_unreadable")
        try:
            rules = await asyncio.to_thread(read_live, answer.body, dialect)
        except ValueError as error:
            raise External(f"{said} is no list of rules: {error}", code="cluster.rules_unreadable") from error
        return File(name=f"rules of {cluster_id}", body=write_rules(rules))

    async def give_out(self, request: PageRequest, cluster_id: str | None, format: Format) -> bytes:
        """The enabled rules, or those of a cluster with its parameters, as a file. Raises NotFound, Invalid."""
        cluster = await self._clusters.get(cluster_id) if cluster_id is not None else None
        page = await fetch_page(self._database, LISTING, request)
        return await asyncio.to_thread(_written, page.rows, cluster, format)

    async def _stored(self, executor: Executor, read: Sequence[RuleContent], terms: Terms, *, lock: bool) -> list[Rule]:
        """The rules that those of the files may be."""
        groups = {rule.group for rule in read}
        # A file has rules with options of their own in a group beside: `node/2`.
        groups |= {group.rpartition("/")[0] for group in groups}
        query = sql.importable_for_change if lock else sql.importable
        return await rules_of(await executor.fetch(query, list(groups), terms.source))


def _read_all(files: Sequence[File], dialect: Dialect) -> tuple[list[RuleContent], tuple[str, ...]]:
    """The rules of all files, and what is worth knowing about them. Raises Invalid."""
    found = [(file, read_rules(file.body, dialect)) for file in files]
    errors = [(file, error) for file, read in found for error in read.errors]
    if errors:
        raise _refused(errors)
    warnings = [_told(file, warning) for file, read in found for warning in read.warnings]
    rules = [rule.content for _, read in found for rule in read.rules]
    return rules, (*warnings, *_groups_of_several(found))


def _refused(errors: Sequence[tuple[File, Detail]]) -> Invalid:
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    details = [
        Detail((*_place(file), *error.loc), error.message, error.line, error.column)
        for file, error in errors[:MAX_FINDINGS]
    ]
    return Invalid(_told(*errors[0]) + more, code="rule.file_invalid", details=details)


def _place(file: File) -> tuple[str, ...]:
    return ("files", file.name) if file.name else ()


def _told(file: File, detail: Detail) -> str:
    where = [file.name] if file.name else []
    if detail.line is not None:
        where.append(f"line {detail.line}" + (f", column {detail.column}" if detail.column is not None else ""))
    return f"{', '.join(where)}: {detail.message}" if where else detail.message


def _groups_of_several(found: Sequence[tuple[File, RuleFile]]) -> Iterator[str]:
    """Here a group is one wherever it is named, and its rules run in sequence."""
    names: dict[str, list[str]] = {}
    for file, read in found:
        for group in {rule.content.group for rule in read.rules}:
            names.setdefault(group, []).append(file.name)
    for group, files in sorted(names.items()):
        if len(files) > 1:
            yield f'the group "{group}" stands in {" and ".join(files)}; it becomes one group'


def _written(rows: Sequence[object], cluster: Cluster | None, format: Format) -> bytes:
    rules = [rule.content for rule in map(rule_of, rows) if rule.content.enabled]
    if cluster is not None:
        here = (rule for rule in rules if any(is_targeted(cluster, target) for target in rule.targets))
        rules = [effective(rule, cluster.parameters) for rule in here]
    return write_rules(rules, format)
