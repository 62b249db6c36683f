"""Templates: making, changing and reading them, and messages in their words."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

import asyncpg

from alertagent.core.audit.model import Actor
from alertagent.core.audit.service import Audit
from alertagent.core.notify.wording import Unworded
from alertagent.core.templates.data import data_of
from alertagent.core.templates.lines import lines_of, title_of
from alertagent.core.templates.model import MAX_SOURCE, PARTS, Template, Text, texts_as_json, texts_of
from alertagent.core.templates.renderer import Fault, Renderer
from alertagent.kernel.errors import Conflict, Detail, Invalid, NotFound, Stale, Unavailable
from alertagent.kernel.ids import new_id
from alertagent.kernel.language import Language
from alertagent.kernel.message import Message, Wording
from alertagent.storage.database import Database, Executor
from alertagent.storage.pages import Column, Listing, PageRequest, fetch_page
from alertagent.storage.queries import load_queries

sql = load_queries("alertagent.core.templates")

LISTING = Listing(
    source=sql.templates,
    columns={
        "id": Column("t.id"),
        "name": Column("t.name"),
        "updated_at": Column("t.updated_at", "timestamptz"),
    },
    sort="name",
    key="t.id",
    search=("t.name",),
)

# So many channels stand in an error.
_NAMED = 5


class Templates:
    """All templates. `counted` hears of each message: `rendered`, `failed` or `stopped`."""

    def __init__(self, database: Database, audit: Audit, renderer: Renderer, counted: Callable[[str], None]) -> None:
        self._database = database
        self._audit = audit
        self._renderer = renderer
        self._counted = counted

    async def get(self, id: str) -> Template:
        """Raises NotFound."""
        row = await self._database.fetchrow(sql.find_template, id)
        if row is None:
            raise _unknown(id)
        return _template(row)

    async def page(self, request: PageRequest) -> tuple[list[Template], str | None, int | None]:
        page = await fetch_page(self._database, LISTING, request)
        return [_template(row) for row in page.rows], page.next_cursor, page.total

    async def add(self, actor: Actor, name: str, texts: Mapping[Language, Text]) -> Template:
        """Raises Invalid with the place of each finding, Conflict when the name is taken."""
        await self._check(texts)
        async with self._database.transaction() as transaction:
            row = await transaction.fetchrow(sql.add_template, new_id(), name, texts_as_json(texts))
            if row is None:
                raise _taken(name)
            template = _template(row)
            await self._note(transaction, actor, "template.created", None, template)
        return template

    async def revise(
        self, actor: Actor, id: str, changes: Mapping[str, Any], expected: frozenset[int] | None
    ) -> Template:
        """Replace what is given. Raises NotFound, Stale, Invalid, Conflict."""
        await self._check(changes.get("texts", {}))
        try:
            async with self._database.transaction() as transaction:
                before = await self._current(transaction, id, expected)
                values = {"name": before.name, "texts": before.texts, **changes}
                if values == {"name": before.name, "texts": before.texts}:
                    return before
                row = await transaction.fetchrow(
                    sql.replace_template, id, values["name"], texts_as_json(values["texts"])
                )
                after = _template(row)
                if after.name != before.name:
                    await transaction.execute(sql.channels_renamed, after.name)
                await self._note(transaction, actor, "template.updated", before, after)
        except asyncpg.UniqueViolationError as error:
            raise _taken(changes["name"]) from error
        return after

    async def remove(self, actor: Actor, id: str, expected: frozenset[int] | None) -> None:
        """Raises Conflict while a channel uses it."""
        async with self._database.transaction() as transaction:
            before = await self._current(transaction, id, expected)
            users = [row["name"] for row in await transaction.fetch(sql.channels_using, before.name)]
            if users:
                raise _in_use(before.name, users)
            await transaction.execute(sql.remove_template, id)
            await self._note(transaction, actor, "template.deleted", before, None)

    async def worded(self, name: str, message: Message) -> Wording | Unworded:
        """The message in the words of a template."""
        row = await self._database.fetchrow(sql.template_named, name)
        if row is None:
            return Unworded("there is no such template")
        found = await self.rendered(_template(row).text(message.language), message)
        if isinstance(found, Wording):
            self._counted("rendered")
            return found
        (part, fault), *_ = found.items()
        self._counted("stopped" if fault.was_stopped else "failed")
        place = part if fault.line is None else f"{part}, line {fault.line}"
        return Unworded(f"{place}: {fault.message}")

    async def rendered(self, text: Text, message: Message) -> Wording | dict[str, Fault]:
        """The words, or what is wrong with each part of them."""
        data = data_of(message)
        made: dict[str, str] = {}
        faults: dict[str, Fault] = {}
        for part in PARTS:
            answer = await self._render(getattr(text, part), data)
            if isinstance(answer, Fault):
                faults[part] = answer
            else:
                made[part] = answer
        return faults or Wording(title=title_of(made["title"]), lines=lines_of(made["body"]))

    async def _render(self, source: str, data: Mapping[str, Any]) -> str | Fault:
        if not source:
            return ""
        try:
            return await self._renderer.render(source, data)
        except Unavailable as problem:
            return Fault(problem.message)

    async def _check(self, texts: Mapping[Language, Text]) -> None:
        findings = []
        for language, text in texts.items():
            for part in PARTS:
                fault = await self._fault(getattr(text, part))
                if fault is not None:
                    findings.append(Detail(("texts", str(language), part), fault.message, line=fault.line))
        if findings:
            first = findings[0]
            line = "" if first.line is None else f", line {first.line}"
            message = f"{'.'.join(map(str, first.loc))}{line}: {first.message}"
            raise Invalid(message, code="template.invalid", details=findings)

    async def _fault(self, source: str) -> Fault | None:
        if len(source.encode()) > MAX_SOURCE:
            return Fault(f"it is longer than {MAX_SOURCE >> 10} KiB")
        return await self._renderer.check(source) if source else None

    async def _current(self, transaction: Executor, id: str, expected: frozenset[int] | None) -> Template:
        row = await transaction.fetchrow(sql.find_template_for_change, id)
        if row is None:
            raise _unknown(id)
        if expected is not None and row["revision"] not in expected:
            raise Stale(f'template "{row["name"]}" was changed in the meantime; it is at revision {row["revision"]}')
        return _template(row)

    async def _note(
        self, transaction: Executor, actor: Actor, action: str, before: Template | None, after: Template | None
    ) -> None:
        template = after or before
        if template is not None:
            subject = ("template", template.id)
            await self._audit.record(
                transaction, actor, action, subject, before=_document(before), after=_document(after)
            )


def _template(row: Any) -> Template:
    values = {field.name: row[field.name] for field in fields(Template)}
    return Template(**{**values, "texts": texts_of(row["texts"])})


def _document(template: Template | None) -> dict[str, Any] | None:
    return None if template is None else {"name": template.name, "texts": texts_as_json(template.texts)}


def _in_use(name: str, users: list[str]) -> Conflict:
    shown = ", ".join(f'"{user}"' for user in users[:_NAMED])
    more = f" and {len(users) - _NAMED} more" if len(users) > _NAMED else ""
    return Conflict(
        f'template "{name}" cannot be deleted while channels use it: {shown}{more}. Give them another one first',
        code="template.in_use",
    )


def _taken(name: str) -> Conflict:
    return Conflict(f'there is a template "{name}" already', code="template.exists")


def _unknown(id: str) -> NotFound:
    return NotFound(f'there is no template "{id}"', code="template.not_found")
