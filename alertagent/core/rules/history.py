"""The versions of a rule, and the way back to one of them. A deleted rule keeps its versions and can come back."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from alertagent.core.audit.model import Actor
from alertagent.core.rules.differences import Difference, differences, unified
from alertagent.core.rules.edits import Author, Change, Edit, created, followed, require, unknown
from alertagent.core.rules.journal import Journal
from alertagent.core.rules.model import Rule, RuleContent, revision_of, version_name
from alertagent.core.rules.service import find, places
from alertagent.kernel.clock import Clock
from alertagent.kernel.errors import Detail, Invalid, NotFound
from alertagent.storage.database import Database, Executor
from alertagent.storage.queries import load_queries

sql = load_queries("alertagent.core.rules")


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A rule as it was. `content` is None where this version is the rule's deletion."""

    rule_id: str
    revision: int
    change: str
    author: str
    comment: str
    at: datetime
    position: int | None
    content: RuleContent | None

    @property
    def name(self) -> str:
        return version_name(self.revision)


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionDiff:
    """What the step from one version to another changes; `before` is None at the beginning of a rule."""

    before: Version | None
    after: Version
    changes: tuple[Difference, ...]
    text: str


class History:
    """What rules were."""

    def __init__(self, database: Database, journal: Journal, clock: Clock) -> None:
        self._database = database
        self._journal = journal
        self._clock = clock

    async def versions(self, id: str, *, before: int | None = None, limit: int = 50) -> list[Version]:
        """The versions older than the revision `before`, newest first. Raises NotFound."""
        return await self._versions(self._database, id, before, limit)

    async def version(self, id: str, name: str) -> Version:
        """Raises NotFound."""
        return await self._version(self._database, id, name)

    async def diff(self, id: str, from_name: str | None, to_name: str | None) -> VersionDiff:
        """From one version to another; by default the last one, and from the one before it."""
        (newest,) = await self.versions(id, limit=1)
        after = await self.version(id, to_name) if to_name else newest
        if from_name:
            before: Version | None = await self.version(id, from_name)
        else:
            before = await self.version(id, version_name(after.revision - 1)) if after.revision > 1 else None
        old, new = _document(before), _document(after)
        text = unified(old, new, before.name if before else "nothing", after.name)
        return VersionDiff(before=before, after=after, changes=tuple(differences(old, new)), text=text)

    async def roll_back(
        self,
        actor: Actor,
        id: str,
        name: str,
        expected: frozenset[int] | None,
        comment: str = "",
        *,
        dry_run: bool = False,
    ) -> Edit:
        """Make a new version that says what this one said, of a deleted rule too; it must still be valid.

        Raises NotFound, Stale, Invalid, Conflict.
        """
        author = Author(name=actor.name, at=self._clock.now())
        async with self._database.transaction() as transaction:
            rule = (await find(transaction, [id], lock=not dry_run)).get(id)
            version = await self._version(transaction, id, name)
            content = _restorable(version)
            if rule is not None:
                edit = _back(rule, content, expected, author)
            else:
                edit = await self._restored(transaction, id, content, expected, author, dry_run=dry_run)
            edit = replace(edit, comment=comment or f"back to {name}")
            if not dry_run:
                await self._journal.write(transaction, actor, [edit])
        return edit

    async def _restored(
        self,
        executor: Executor,
        id: str,
        content: RuleContent,
        expected: frozenset[int] | None,
        author: Author,
        *,
        dry_run: bool,
    ) -> Edit:
        """The rule under its own id and in its old place, with its history going on."""
        newest, first = (_version(row) for row in await executor.fetch(sql.ends, id))
        position = newest.position
        if position is None:
            _, position = next(await places(executor, 1, kept=not dry_run))
        rule = created(content, id, position, author)
        require(replace(rule, revision=newest.revision), expected)
        after = replace(rule, revision=newest.revision + 1, created_by=first.author, created_at=first.at)
        return Edit(change=Change.RESTORED, before=None, after=after, at=author.at)

    async def _versions(self, executor: Executor, id: str, before: int | None, limit: int) -> list[Version]:
        rows = await executor.fetch(sql.versions, id, before, limit)
        if not rows and before is None:
            raise unknown(id)
        return [_version(row) for row in rows]

    async def _version(self, executor: Executor, id: str, name: str) -> Version:
        revision = revision_of(name)
        row = await executor.fetchrow(sql.version, id, revision) if revision is not None else None
        if row is not None:
            return _version(row)
        (newest,) = await self._versions(executor, id, None, 1)
        raise NotFound(
            f'rule "{id}" has no version "{name}"; its newest is {newest.name}', code="rule.version_not_found"
        )


def _back(rule: Rule, content: RuleContent, expected: frozenset[int] | None, author: Author) -> Edit:
    require(rule, expected)
    after = followed(rule, content, author)
    change = Change.UNCHANGED if after is rule else Change.ROLLED_BACK
    return Edit(change=change, before=rule, after=after, at=author.at)


def _restorable(version: Version) -> RuleContent:
    if version.content is None:
        message = f"{version.name} is the deletion of the rule; name a version before it"
        raise Invalid(message, code="rule.version_is_deletion", details=[Detail(("version",), message)])
    return version.content


def _document(version: Version | None) -> dict[str, Any]:
    return version.content.document() if version is not None and version.content is not None else {}


def _version(row: Any) -> Version:
    return Version(
        rule_id=row["rule_id"],
        revision=row["revision"],
        change=row["change"],
        author=row["author"],
        comment=row["comment"],
        at=row["at"],
        position=row["position"],
        content=RuleContent.of(row["document"]) if row["document"] is not None else None,
    )
