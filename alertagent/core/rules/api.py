"""Rules over HTTP, and their versions."""

from alertagent.core.audit.model import actor_of
from alertagent.core.rules.answers import (
    BatchRequest,
    DiffQuery,
    DiffView,
    DryRun,
    DryRunQuery,
    Outcomes,
    RemoveQuery,
    RollbackRequest,
    RuleDryRun,
    VersionsQuery,
    VersionSummary,
    VersionView,
    diff_view,
    version_summary,
    version_view,
)
from alertagent.core.rules.check import check_rule, check_warnings
from alertagent.core.rules.edits import Create, Edit, Operation, Remove, Revise
from alertagent.core.rules.history import History
from alertagent.core.rules.model import Rule
from alertagent.core.rules.preview import Previews
from alertagent.core.rules.service import Rules, Statuses
from alertagent.core.rules.views import RuleChange, RuleRequest, RuleView, Verdict, finding, rule_view
from alertagent.storage.pages import PageRequest
from alertagent.web.access import editor, viewer
from alertagent.web.call import Call
from alertagent.web.models import ListQuery
from alertagent.web.replies import Page, Reply
from alertagent.web.routes import delete, get, post, put

READ, WRITE = viewer("rules:read"), editor("rules:write")


class RulesApi:
    def __init__(self, rules: Rules, history: History, statuses: Statuses, previews: Previews) -> None:
        self._rules = rules
        self._history = history
        self._statuses = statuses
        self._previews = previews

    @post("/rules", access=WRITE, status=201)
    async def add(self, call: Call, query: DryRunQuery, body: RuleRequest) -> Reply[RuleView] | Reply[RuleDryRun]:
        """Make a rule; its targets get it within seconds."""
        edit = await self._apply(call, query, Create(content=body.content(), comment=body.comment))
        return await self._dry_run(edit) if query.dry_run else await self._reply(edit.rule)

    @get("/rules", access=READ)
    async def list(self, call: Call, query: ListQuery) -> Page[RuleView]:
        """The rules."""
        page = await self._rules.page(PageRequest(**query.model_dump()))
        statuses = await self._statuses.of(page.rules)
        views = [rule_view(rule, statuses[rule.id]) for rule in page.rules]
        return Page(items=views, next_cursor=page.next_cursor, total=page.total)

    @get("/rules/{id}", access=READ)
    async def read(self, call: Call, id: str) -> Reply[RuleView]:
        """One rule."""
        return await self._reply(await self._rules.get(id))

    @put("/rules/{id}", access=WRITE)
    async def revise(
        self, call: Call, id: str, query: DryRunQuery, body: RuleChange
    ) -> Reply[RuleView] | Reply[RuleDryRun]:
        """Change a rule; the result is validated as a whole."""
        operation = Revise(id=id, changes=body.changes(), expected=call.expected, comment=body.comment)
        edit = await self._apply(call, query, operation)
        return await self._dry_run(edit) if query.dry_run else await self._reply(edit.rule)

    @delete("/rules/{id}", access=WRITE)
    async def remove(self, call: Call, id: str, query: RemoveQuery) -> Reply[RuleDryRun] | None:
        """Delete a rule, here and on every target; its versions stay, and a rollback brings it back."""
        edit = await self._apply(call, query, Remove(id=id, expected=call.expected, comment=query.comment))
        return await self._dry_run(edit) if query.dry_run else None

    @post("/rules/batch", access=WRITE)
    async def batch(self, call: Call, query: DryRunQuery, body: BatchRequest) -> Reply[Outcomes] | Reply[DryRun]:
        """Make, change and delete rules, all of them or none."""
        edits = await self._rules.apply_all(actor_of(call), body.content(), dry_run=query.dry_run)
        if query.dry_run:
            return Reply(data=DryRun.planned(edits, await self._previews.of(edits)))
        return Reply(data=Outcomes.of(edits))

    @post("/rules/validate", access=READ)
    async def validate(self, call: Call, body: RuleRequest) -> Verdict:
        """Say what is wrong with a rule and what may be, without storing it."""
        rule = body.content()
        errors, warnings = (tuple(map(finding, check(rule))) for check in (check_rule, check_warnings))
        return Verdict(valid=not errors, errors=errors, warnings=warnings)

    @get("/rules/{id}/versions", access=READ)
    async def versions(self, call: Call, id: str, query: VersionsQuery) -> Page[VersionSummary]:
        """The versions of a rule, newest first; also of one that is deleted."""
        found = await self._history.versions(id, before=query.cursor, limit=query.limit + 1)
        shown = found[: query.limit]
        more = str(shown[-1].revision) if len(found) > query.limit else None
        return Page(items=[version_summary(version) for version in shown], next_cursor=more)

    @get("/rules/{id}/versions/{version}", access=READ)
    async def version(self, call: Call, id: str, version: str) -> VersionView:
        """A rule as it was."""
        return version_view(await self._history.version(id, version))

    @get("/rules/{id}/diff", access=READ)
    async def diff(self, call: Call, id: str, query: DiffQuery) -> DiffView:
        """What changed between two versions; by default, what the last change was."""
        return diff_view(await self._history.diff(id, query.from_, query.to))

    @post("/rules/{id}/rollback", access=WRITE)
    async def roll_back(
        self, call: Call, id: str, query: DryRunQuery, body: RollbackRequest
    ) -> Reply[RuleView] | Reply[RuleDryRun]:
        """Return to what a version said, by a new version; a deleted rule comes back."""
        edit = await self._history.roll_back(
            actor_of(call), id, body.version, call.expected, body.comment, dry_run=query.dry_run
        )
        return await self._dry_run(edit) if query.dry_run else await self._reply(edit.rule)

    async def _apply(self, call: Call, query: DryRunQuery, operation: Operation) -> Edit:
        return await self._rules.apply(actor_of(call), operation, dry_run=query.dry_run)

    async def _reply(self, rule: Rule) -> Reply[RuleView]:
        status = (await self._statuses.of([rule]))[rule.id]
        return Reply(data=rule_view(rule, status), etag=f"{rule.revision}-{status}")

    async def _dry_run(self, edit: Edit) -> Reply[RuleDryRun]:
        status = (await self._statuses.of([edit.rule]))[edit.rule.id]
        return Reply(data=RuleDryRun.of(edit, status, await self._previews.of([edit])), status=200)
