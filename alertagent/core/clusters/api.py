"""Clusters and their sidecars' tokens over HTTP."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from alertagent.core.audit.model import actor_of
from alertagent.core.auth.api import TokenMade
from alertagent.core.auth.model import Kind
from alertagent.core.auth.service import Tokens
from alertagent.core.clusters.model import ID_PATTERN, Cluster, ConfigType
from alertagent.core.clusters.proxy import LONGEST, QueryProxy
from alertagent.core.clusters.service import Clusters, cluster_of
from alertagent.kernel.durations import format_duration
from alertagent.kernel.labels import is_legacy_name
from alertagent.storage.pages import PageRequest
from alertagent.web.access import admin, editor, viewer
from alertagent.web.call import Call
from alertagent.web.models import NAMING, Duration, ListQuery, Model
from alertagent.web.replies import Page, Raw, Reply
from alertagent.web.routes import delete, get, post, put


def _check_names(labels: Mapping[str, str]) -> Mapping[str, str]:
    for name in labels:
        if not is_legacy_name(name):
            raise ValueError(f'"{name[:80]}" is not a label name; letters, digits and _ make one')
    return labels


Name = Annotated[str, Field(min_length=1, max_length=200), NAMING]
Values = Annotated[
    dict[str, Annotated[str, Field(max_length=4096)]], Field(max_length=64), AfterValidator(_check_names)
]
ConfigTypes = Annotated[
    tuple[ConfigType, ...], Field(min_length=1, max_length=3), AfterValidator(lambda types: tuple(sorted(set(types))))
]
QueryUrl = Annotated[
    str,
    Field(min_length=1, max_length=2048, description="The cluster's Prometheus HTTP API, for previews and analysis."),
]


Moment = Annotated[str, Field(min_length=1, max_length=40, description="Unix seconds or RFC 3339.")]


def _check_patience(timeout: timedelta) -> timedelta:
    if not timedelta() < timeout <= LONGEST:
        raise ValueError(f"must be more than 0 and at most {format_duration(LONGEST)}")
    return timeout


Patience = Annotated[Duration, AfterValidator(_check_patience)]


class ClusterRequest(Model):
    id: Annotated[str, Field(pattern=ID_PATTERN)]
    name: Name | None = None
    labels: Values = {}
    parameters: Values = {}
    config_types: ConfigTypes = (ConfigType.PROMETHEUS,)
    query_url: QueryUrl | None = None


class ClusterChange(Model):
    """What is given replaces, what is absent stays."""

    name: Name | None = None
    labels: Values | None = None
    parameters: Values | None = None
    config_types: ConfigTypes | None = None
    query_url: QueryUrl | None = None

    def changes(self) -> dict[str, Any]:
        """`null` clears the query URL and means "unchanged" elsewhere, where nothing could be cleared."""
        given = {name: getattr(self, name) for name in self.model_fields_set}
        return {name: value for name, value in given.items() if value is not None or name == "query_url"}


class ClusterView(Model):
    id: str
    name: str
    labels: dict[str, str]
    parameters: dict[str, str]
    config_types: tuple[ConfigType, ...]
    query_url: str | None
    revision: int
    created_at: datetime
    updated_at: datetime


class SidecarTokenRequest(Model):
    name: Name = "sidecar"
    expires_in: Annotated[
        Duration | None,
        Field(description="Default: never, because a sidecar that silently stops is worse than an old token."),
    ] = None


class InstantQuery(Model):
    """As Prometheus takes them; times are Unix seconds or RFC 3339."""

    query: Annotated[str, Field(min_length=1, max_length=8192)]
    time: Moment | None = None
    timeout: Patience = LONGEST
    limit: Annotated[int, Field(ge=0, le=2**31 - 1, description="The most series; 0 means all.")] | None = None


class RangeQuery(Model):
    query: Annotated[str, Field(min_length=1, max_length=8192)]
    start: Moment
    end: Moment
    step: Annotated[str, Field(min_length=1, max_length=40, description="Seconds, or a duration such as 30s.")]
    timeout: Patience = LONGEST
    limit: Annotated[int, Field(ge=0, le=2**31 - 1, description="The most series; 0 means all.")] | None = None


class ClustersApi:
    def __init__(self, clusters: Clusters, tokens: Tokens, proxy: QueryProxy) -> None:
        self._clusters = clusters
        self._tokens = tokens
        self._proxy = proxy

    @get("/clusters", access=viewer("clusters:read"))
    async def list(self, call: Call, query: ListQuery) -> Page[ClusterView]:
        """The clusters."""
        page = await self._clusters.page(PageRequest(**query.model_dump()))
        views = [_view(cluster_of(row)) for row in page.rows]
        return Page(items=views, next_cursor=page.next_cursor, total=page.total)

    @post("/clusters", access=editor("clusters:write"), status=201)
    async def add(self, call: Call, body: ClusterRequest) -> Reply[ClusterView]:
        """Register a cluster."""
        values = body.model_dump(exclude={"id"}, exclude_none=True)
        return _reply(await self._clusters.add(actor_of(call), body.id, values))

    @get("/clusters/{id}", access=viewer("clusters:read"))
    async def read(self, call: Call, id: str) -> Reply[ClusterView]:
        """One cluster."""
        return _reply(await self._clusters.get(id))

    @put("/clusters/{id}", access=editor("clusters:write"))
    async def revise(self, call: Call, id: str, body: ClusterChange) -> Reply[ClusterView]:
        """Change a cluster."""
        return _reply(await self._clusters.revise(actor_of(call), id, body.changes(), call.expected))

    @delete("/clusters/{id}", access=editor("clusters:write"))
    async def remove(self, call: Call, id: str) -> None:
        """Forget a cluster and revoke its tokens."""
        await self._clusters.remove(actor_of(call), id, call.expected)

    @get("/clusters/{id}/query", access=viewer("clusters:read"))
    async def query(self, call: Call, id: str, query: InstantQuery) -> Raw:
        """Ask the cluster's Prometheus; the answer is Prometheus' own."""
        body = await self._proxy.ask(id, "query", _parameters(query), query.timeout)
        return Raw(body=body, content_type="application/json")

    @get("/clusters/{id}/query_range", access=viewer("clusters:read"))
    async def query_range(self, call: Call, id: str, query: RangeQuery) -> Raw:
        """Ask the cluster's Prometheus for a range; the answer is Prometheus' own."""
        body = await self._proxy.ask(id, "query_range", _parameters(query), query.timeout)
        return Raw(body=body, content_type="application/json")

    @post("/clusters/{id}/tokens", access=admin(), status=201, secret=True)
    async def make_token(self, call: Call, id: str, body: SidecarTokenRequest) -> TokenMade:
        """A token for this cluster's sidecar, shown only in this answer."""
        await self._clusters.get(id)
        token, text = await self._tokens.make(
            actor_of(call),
            name=body.name,
            kind=Kind.SIDECAR,
            scopes=(f"sync:{id}",),
            cluster_id=id,
            expires_in=body.expires_in if body.expires_in != timedelta(0) else None,
        )
        return TokenMade(id=token.id, name=token.name, token=text, expires_at=token.expires_at)

    @delete("/clusters/{id}/tokens/{token_id}", access=admin())
    async def revoke_token(self, call: Call, id: str, token_id: str) -> None:
        """Revoke one of this cluster's tokens."""
        await self._tokens.revoke(actor_of(call), token_id, cluster_id=id)


def _parameters(query: InstantQuery | RangeQuery) -> dict[str, str]:
    given = query.model_dump(exclude={"timeout"}, exclude_none=True)
    return {name: str(value) for name, value in given.items()}


def _view(cluster: Cluster) -> ClusterView:
    return ClusterView(**asdict(cluster))


def _reply(cluster: Cluster) -> Reply[ClusterView]:
    return Reply(data=_view(cluster), etag=str(cluster.revision))
