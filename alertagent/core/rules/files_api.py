"""Files of rules over HTTP."""

import asyncio
from hashlib import sha256
from typing import Annotated

from pydantic import FailFast, Field

from alertagent.core.audit.model import actor_of
from alertagent.core.clusters.model import ID_PATTERN, check_target, is_cluster_id
from alertagent.core.rules.answers import DryRun, DryRunQuery, Outcomes
from alertagent.core.rules.exchange import EVERYTHING, Exchange, File
from alertagent.core.rules.files import Format
from alertagent.core.rules.importing import Terms
from alertagent.core.rules.model import Dialect
from alertagent.core.rules.preview import Previews
from alertagent.core.rules.views import Comment, Targets
from alertagent.kernel.errors import Detail, Invalid
from alertagent.storage.pages import PageRequest
from alertagent.web.access import editor, viewer
from alertagent.web.call import Call
from alertagent.web.models import ListQuery, Model
from alertagent.web.parsing import parse_json
from alertagent.web.replies import Raw, Reply
from alertagent.web.room import FILES
from alertagent.web.routes import LARGE_BODY_LIMIT, get, post

JSON = "application/json"
YAML = ("application/yaml", "application/x-yaml", "text/yaml")


class ImportQuery(DryRunQuery):
    dialect: Annotated[Dialect, Field(description="What the expressions are written in.")] = Dialect.PROMQL
    targets: Targets = ()
    source: Annotated[
        str | None,
        Field(
            pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,99}$",
            description="A name for where the files come from; the import then owns its rules under this name.",
        ),
    ] = None
    from_cluster: Annotated[
        str | None,
        Field(pattern=ID_PATTERN, description="Without a body: the rules that the server of this cluster runs now."),
    ] = None
    prune: Annotated[bool, Field(description="Delete the rules of this source that the files no longer have.")] = False
    comment: Comment = ""


class NamedFile(Model):
    name: Annotated[str, Field(min_length=1, max_length=500)]
    content: str


class FilesRequest(Model):
    """Several files as one import."""

    # pydantic counts towards max_length only what is right, so five million wrong ones would each be told of.
    files: Annotated[tuple[NamedFile, ...], Field(min_length=1, max_length=10_000), FailFast()]


class ExportQuery(Model):
    cluster_id: Annotated[
        str | None, Field(pattern=ID_PATTERN, description="Only what this cluster runs, with its parameters.")
    ] = None
    format: Format = Format.PROMETHEUS
    filter: Annotated[tuple[str, ...], *ListQuery.model_fields["filter"].metadata] = ()
    q: Annotated[str | None, Field(max_length=200, description="Text to look for.")] = None


class FilesApi:
    def __init__(self, exchange: Exchange, previews: Previews) -> None:
        self._exchange = exchange
        self._previews = previews

    @post("/rules/import", access=editor("rules:write"), body_limit=LARGE_BODY_LIMIT, bound=FILES, reads=(*YAML, JSON))
    async def take_in(self, call: Call, query: ImportQuery, body: bytes) -> Reply[Outcomes] | Reply[DryRun]:
        """Take in a rule file, or as JSON several, all or nothing; rules that are there already change in place."""
        terms = Terms(
            targets=_targets(query.targets) if query.targets else None,
            source=query.source or "",
            prune=query.prune,
            comment=query.comment,
        )
        if query.prune and query.source is None:
            message = "only the rules of a source can be pruned; name it with source=…"
            raise Invalid(message, code="rule.prune_without_source", details=[Detail(("prune",), message)])
        files = await self._files(call, query, body)
        done = await self._exchange.take_in(actor_of(call), files, query.dialect, terms, dry_run=query.dry_run)
        if query.dry_run:
            return Reply(data=DryRun.planned(done.edits, await self._previews.of(done.edits), done.warnings))
        return Reply(data=Outcomes.of(done.edits, done.warnings))

    async def _files(self, call: Call, query: ImportQuery, body: bytes) -> list[File]:
        if query.from_cluster is not None:
            if body:
                raise Invalid("send either a file or from_cluster", details=[Detail(("from_cluster",), "and a file")])
            return [await self._exchange.fetch(query.from_cluster, query.dialect)]
        if call.media_type != JSON:
            return [File(body=body)]
        files = (await asyncio.to_thread(parse_json, body, FilesRequest)).files
        return [File(name=file.name, body=file.content.encode()) for file in files]

    @get("/rules/export", access=viewer("rules:read"))
    async def give_out(self, call: Call, query: ExportQuery) -> Raw:
        """The enabled rules as a file that Prometheus, vmalert or the Prometheus Operator takes."""
        request = PageRequest(limit=EVERYTHING, sort="position", filter=query.filter, q=query.q)
        body = await self._exchange.give_out(request, query.cluster_id, query.format)
        return Raw(
            body=body,
            content_type="application/yaml",
            etag=sha256(body).hexdigest(),
            headers={"Content-Disposition": f'attachment; filename="{query.cluster_id or "rules"}.yml"'},
        )


def _targets(given: tuple[str, ...]) -> tuple[str, ...]:
    """`targets=a,b` are two clusters; the commas of a selector are its own, so of these each has a parameter."""
    targets: list[str] = []
    for text in given:
        parts = text.split(",")
        targets += parts if all(map(is_cluster_id, parts)) else [text]
    for target in targets:
        try:
            check_target(target)
        except ValueError as error:
            message = f'"{target[:200]}" is neither a cluster\'s id nor a selector: {error}'
            raise Invalid(f"targets: {message}", details=[Detail(("targets",), message)]) from error
    return tuple(dict.fromkeys(targets))
