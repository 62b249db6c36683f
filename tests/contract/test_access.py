"""Who may call what: one row a route, one column a kind of caller. A new route without a row fails."""

import itertools
from dataclasses import dataclass, field
from typing import Any

import pytest

from alertagent.app import Role, Service
from tests.support.service import ADMIN_TOKEN, Api

ROLES = ("viewer", "editor", "admin")
SCOPES = (
    "ingest",
    *(
        f"{area}:{verb}"
        for area in (
            "rules",
            "clusters",
            "configs",
            "alerts",
            "silences",
            "routing",
            "channels",
            "analyzers",
            "analysis",
            "tasks",
        )
        for verb in ("read", "write", "*")
    ),
    "alerts:ack",
    "deliveries:read",
    "sync:*",
)
SIDECARS = ("sidecar of c1", "sidecar of c2")
CALLERS = ("nobody", "fixed admin", *ROLES, *SCOPES, *SIDECARS)

ADMINS = {"fixed admin", "admin"}
EVERYBODY = set(CALLERS)


def reading(area: str) -> set[str]:
    return {*ADMINS, "viewer", "editor"} | ({f"{area}:read", f"{area}:write", f"{area}:*"} & set(SCOPES))


def writing(area: str) -> set[str]:
    return {*ADMINS, "editor"} | ({f"{area}:write", f"{area}:*"} & set(SCOPES))


def handling() -> set[str]:
    return {*ADMINS, "editor", "alerts:ack", "alerts:write", "alerts:*"}


@dataclass(frozen=True, kw_only=True)
class Row:
    """`to` is an address of the route where being let in changes nothing; the rest of the request goes with it.

    `refusal` is what a caller gets who is known and still may not.
    """

    to: str
    may: set[str]
    json: Any = None
    refusal: int = 403


REPORT = {"cluster_id": "c1", "config_type": "prometheus", "status": "failed", "sync_time": 0, "error_message": "x"}

TABLE = {
    "GET /healthz": Row(to="//healthz", may=EVERYBODY),
    "GET /readyz": Row(to="//readyz", may=EVERYBODY),
    "GET /-/healthy": Row(to="//-/healthy", may=EVERYBODY),
    "GET /-/ready": Row(to="//-/ready", may=EVERYBODY),
    "GET /metrics": Row(to="//metrics", may=EVERYBODY),
    "GET /api/openapi.json": Row(to="//api/openapi.json", may=EVERYBODY),
    "GET /api/v1/tokens": Row(to="/tokens", may=ADMINS),
    "POST /api/v1/tokens": Row(to="/tokens", may=ADMINS, json={}),
    "DELETE /api/v1/tokens/{id}": Row(to="/tokens/none", may=ADMINS),
    "GET /api/v1/clusters": Row(to="/clusters", may=reading("clusters")),
    "POST /api/v1/clusters": Row(to="/clusters", may=writing("clusters"), json={}),
    "GET /api/v1/clusters/{id}": Row(to="/clusters/c1", may=reading("clusters")),
    "PUT /api/v1/clusters/{id}": Row(to="/clusters/none", may=writing("clusters"), json={}),
    "DELETE /api/v1/clusters/{id}": Row(to="/clusters/none", may=writing("clusters")),
    "GET /api/v1/clusters/{id}/query": Row(to="/clusters/none/query?query=up", may=reading("clusters")),
    "GET /api/v1/clusters/{id}/query_range": Row(
        to="/clusters/none/query_range?query=up&start=1&end=2&step=1", may=reading("clusters")
    ),
    "POST /api/v1/clusters/{id}/tokens": Row(to="/clusters/none/tokens", may=ADMINS, json={}),
    "DELETE /api/v1/clusters/{id}/tokens/{token_id}": Row(to="/clusters/c1/tokens/none", may=ADMINS),
    "GET /api/v1/rules": Row(to="/rules", may=reading("rules")),
    "POST /api/v1/rules": Row(to="/rules", may=writing("rules"), json={}),
    "POST /api/v1/rules/validate": Row(to="/rules/validate", may=reading("rules"), json={}),
    "POST /api/v1/rules/batch": Row(to="/rules/batch", may=writing("rules"), json={}),
    "POST /api/v1/rules/import": Row(to="/rules/import", may=writing("rules"), json={}),
    "GET /api/v1/rules/export": Row(to="/rules/export", may=reading("rules")),
    "GET /api/v1/rules/{id}": Row(to="/rules/none", may=reading("rules")),
    "PUT /api/v1/rules/{id}": Row(to="/rules/none", may=writing("rules"), json={}),
    "DELETE /api/v1/rules/{id}": Row(to="/rules/none", may=writing("rules")),
    "GET /api/v1/rules/{id}/versions": Row(to="/rules/none/versions", may=reading("rules")),
    "GET /api/v1/rules/{id}/versions/{version}": Row(to="/rules/none/versions/v1.0.0", may=reading("rules")),
    "GET /api/v1/rules/{id}/diff": Row(to="/rules/none/diff", may=reading("rules")),
    "POST /api/v1/rules/{id}/rollback": Row(to="/rules/none/rollback", may=writing("rules"), json={}),
    "GET /api/v1/rules/{id}/distribution": Row(to="/rules/none/distribution", may=reading("rules")),
    "GET /api/v1/clusters/{id}/alertmanager-config": Row(
        to="/clusters/none/alertmanager-config", may=reading("configs")
    ),
    "PUT /api/v1/clusters/{id}/alertmanager-config": Row(
        to="/clusters/none/alertmanager-config", may=writing("configs"), json={}
    ),
    "DELETE /api/v1/clusters/{id}/alertmanager-config": Row(
        to="/clusters/none/alertmanager-config", may=writing("configs")
    ),
    "GET /api/v1/clusters/{id}/alertmanager-config/versions": Row(
        to="/clusters/none/alertmanager-config/versions", may=reading("configs")
    ),
    "GET /api/v1/clusters/{id}/alertmanager-config/versions/{version}": Row(
        to="/clusters/none/alertmanager-config/versions/v1.0.0", may=reading("configs")
    ),
    "GET /api/v1/clusters/{id}/alertmanager-config/diff": Row(
        to="/clusters/none/alertmanager-config/diff?from=v1.0.0&to=v1.0.1", may=reading("configs")
    ),
    "POST /api/v1/clusters/{id}/alertmanager-config/rollback": Row(
        to="/clusters/none/alertmanager-config/rollback", may=writing("configs"), json={}
    ),
    "GET /api/v1/config/sync": Row(
        to="/config/sync?cluster_id=c1&type=prometheus", may={*ADMINS, "sync:*", "sidecar of c1"}
    ),
    "POST /api/v1/config/sync/status": Row(
        to="/config/sync/status", may={*ADMINS, "sync:*", "sidecar of c1"}, json=REPORT
    ),
    "POST /api/v1/config/adopt": Row(
        to="/config/adopt?cluster_id=c1&type=prometheus", may={*ADMINS, "sync:*", "sidecar of c1"}
    ),
    "GET /api/v1/config/status": Row(to="/config/status", may=reading("configs")),
    "GET /api/v1/config/history": Row(to="/config/history", may=reading("configs")),
    "GET /api/v1/config/preview": Row(to="/config/preview?cluster_id=c1&type=prometheus", may=reading("configs")),
    "POST /api/v1/alerts/webhook": Row(to="/alerts/webhook", may={*ADMINS, "ingest"}, json={}),
    "POST /api/v2/alerts": Row(to="//api/v2/alerts", may={*ADMINS, "ingest"}, json=[]),
    "GET /api/v2/alerts": Row(to="//api/v2/alerts", may=reading("alerts")),
    "GET /api/v2/alerts/groups": Row(to="//api/v2/alerts/groups", may=reading("alerts")),
    "GET /api/v2/receivers": Row(to="//api/v2/receivers", may=reading("alerts")),
    "GET /api/v2/status": Row(to="//api/v2/status", may=reading("alerts")),
    "GET /api/v2/silences": Row(to="//api/v2/silences", may=reading("silences")),
    "POST /api/v2/silences": Row(to="//api/v2/silences", may=writing("silences"), json={}),
    "GET /api/v2/silence/{id}": Row(to="//api/v2/silence/none", may=reading("silences")),
    "DELETE /api/v2/silence/{id}": Row(to="//api/v2/silence/none", may=writing("silences")),
    "GET /api/v1/alerts": Row(to="/alerts", may=reading("alerts")),
    "GET /api/v1/alerts/facets": Row(to="/alerts/facets?by=team", may=reading("alerts")),
    "GET /api/v1/alerts/counts": Row(to="/alerts/counts", may=reading("alerts")),
    "GET /api/v1/alerts/{id}": Row(to="/alerts/none", may=reading("alerts")),
    "GET /api/v1/alerts/{id}/timeline": Row(to="/alerts/none/timeline", may=reading("alerts")),
    "POST /api/v1/alerts/{id}/ack": Row(to="/alerts/none/ack", may=handling(), json={}),
    "POST /api/v1/alerts/{id}/unack": Row(to="/alerts/none/unack", may=handling(), json={}),
    "POST /api/v1/alerts/{id}/resolve": Row(to="/alerts/none/resolve", may=handling(), json={}),
    "POST /api/v1/alerts/{id}/comment": Row(to="/alerts/none/comment", may=handling(), json={}),
    "POST /api/v1/alerts/{id}/assign": Row(to="/alerts/none/assign", may=handling(), json={}),
    "POST /api/v1/alerts/bulk": Row(to="/alerts/bulk", may=handling(), json={}),
    "POST /api/v1/alerts/{id}/analyze": Row(to="/alerts/none/analyze", may=handling()),
    "POST /api/v1/alerts/{id}/feedback": Row(to="/alerts/none/feedback", may=handling(), json={}),
    "GET /api/v1/analyzers": Row(to="/analyzers", may=reading("analyzers")),
    "POST /api/v1/analyzers": Row(to="/analyzers", may=writing("analyzers"), json={}),
    "GET /api/v1/analyzers/{id}": Row(to="/analyzers/none", may=reading("analyzers")),
    "PUT /api/v1/analyzers/{id}": Row(to="/analyzers/none", may=writing("analyzers"), json={}),
    "DELETE /api/v1/analyzers/{id}": Row(to="/analyzers/none", may=writing("analyzers")),
    "POST /api/v1/analyzers/{id}/breaker/reset": Row(to="/analyzers/none/breaker/reset", may=writing("analyzers")),
    "POST /api/v1/analyzers/{id}/test": Row(to="/analyzers/none/test", may=writing("analyzers")),
    "GET /api/v1/analysis/policy": Row(to="/analysis/policy", may=reading("analysis")),
    "PUT /api/v1/analysis/policy": Row(to="/analysis/policy", may=writing("analysis"), json={}),
    # No token of ours opens it: a run has its own.
    "POST /api/v1/analysis/callbacks/{task_id}": Row(
        to="/analysis/callbacks/none", may=set(), json={"analysis": "x"}, refusal=401
    ),
    "GET /api/v1/heartbeats": Row(to="/heartbeats", may=reading("alerts")),
    "POST /api/v1/heartbeats": Row(to="/heartbeats", may=writing("alerts"), json={}),
    "GET /api/v1/heartbeats/{id}": Row(to="/heartbeats/none", may=reading("alerts")),
    "PUT /api/v1/heartbeats/{id}": Row(to="/heartbeats/none", may=writing("alerts"), json={}),
    "DELETE /api/v1/heartbeats/{id}": Row(to="/heartbeats/none", may=writing("alerts")),
    "GET /api/v1/escalation": Row(to="/escalation", may=reading("alerts")),
    "PUT /api/v1/escalation": Row(to="/escalation", may=writing("alerts"), json={}),
    "GET /api/v1/silences": Row(to="/silences", may=reading("silences")),
    "POST /api/v1/silences": Row(to="/silences", may=writing("silences"), json={}),
    "POST /api/v1/silences/preview": Row(to="/silences/preview", may=reading("silences"), json={}),
    "GET /api/v1/silences/{id}": Row(to="/silences/none", may=reading("silences")),
    "PUT /api/v1/silences/{id}": Row(to="/silences/none", may=writing("silences"), json={}),
    "DELETE /api/v1/silences/{id}": Row(to="/silences/none", may=writing("silences")),
    "GET /api/v1/events": Row(to="/events?topics=none", may={*ADMINS, "viewer", "editor"}),
    "GET /api/v1/routing": Row(to="/routing", may=reading("routing")),
    "PUT /api/v1/routing": Row(to="/routing", may=writing("routing"), json={}),
    "DELETE /api/v1/routing": Row(to="/routing", may=writing("routing")),
    "GET /api/v1/routing/versions": Row(to="/routing/versions", may=reading("routing")),
    "GET /api/v1/routing/versions/{version}": Row(to="/routing/versions/v1.0.0", may=reading("routing")),
    "GET /api/v1/routing/diff": Row(to="/routing/diff?from=v1.0.0&to=v1.0.1", may=reading("routing")),
    "POST /api/v1/routing/rollback": Row(to="/routing/rollback", may=writing("routing"), json={}),
    "POST /api/v1/routing/explain": Row(to="/routing/explain", may=reading("routing"), json={}),
    "POST /api/v1/routing/import": Row(to="/routing/import", may=writing("routing"), json={}),
    "GET /api/v1/plugins": Row(to="/plugins", may=reading("channels")),
    "GET /api/v1/plugins/{name}": Row(to="/plugins/console", may=reading("channels")),
    "PUT /api/v1/plugins/{name}": Row(to="/plugins/none", may=writing("channels"), json={"enabled": True}),
    "POST /api/v1/plugins/reload": Row(to="/plugins/reload", may=ADMINS),
    "POST /api/v1/plugins/{name}/test": Row(to="/plugins/none/test", may=writing("channels"), json={}),
    "GET /api/v1/channels": Row(to="/channels", may=reading("channels")),
    "POST /api/v1/channels": Row(to="/channels", may=writing("channels"), json={}),
    "GET /api/v1/channels/{id}": Row(to="/channels/none", may=reading("channels")),
    "PUT /api/v1/channels/{id}": Row(to="/channels/none", may=writing("channels"), json={}),
    "DELETE /api/v1/channels/{id}": Row(to="/channels/none", may=writing("channels")),
    "POST /api/v1/channels/{id}/check": Row(to="/channels/none/check", may=writing("channels")),
    "POST /api/v1/channels/{id}/test": Row(to="/channels/none/test", may=writing("channels")),
    "POST /api/v1/channels/{id}/breaker/reset": Row(to="/channels/none/breaker/reset", may=writing("channels")),
    "GET /api/v1/channels/{id}/deliveries": Row(to="/channels/none/deliveries", may=reading("deliveries")),
    "GET /api/v1/templates": Row(to="/templates", may=reading("channels")),
    "POST /api/v1/templates": Row(to="/templates", may=writing("channels"), json={}),
    "POST /api/v1/templates/preview": Row(to="/templates/preview", may=writing("channels"), json={"title": 1}),
    "GET /api/v1/templates/{id}": Row(to="/templates/none", may=reading("channels")),
    "PUT /api/v1/templates/{id}": Row(to="/templates/none", may=writing("channels"), json={}),
    "DELETE /api/v1/templates/{id}": Row(to="/templates/none", may=writing("channels")),
    "GET /api/v1/deliveries": Row(to="/deliveries", may=reading("deliveries")),
    "POST /api/v1/deliveries/{id}/retry": Row(to="/deliveries/none/retry", may=writing("deliveries")),
    "GET /api/v1/queues": Row(to="/queues", may=reading("tasks")),
    "GET /api/v1/queues/{name}": Row(to="/queues/notification", may=reading("tasks")),
    "POST /api/v1/queues/{name}/pause": Row(to="/queues/none/pause", may=ADMINS),
    "POST /api/v1/queues/{name}/resume": Row(to="/queues/none/resume", may=ADMINS),
    "GET /api/v1/queues/{name}/dead": Row(to="/queues/notification/dead", may=reading("tasks")),
    "POST /api/v1/queues/{name}/dead/requeue": Row(to="/queues/none/dead/requeue", may=writing("tasks"), json={}),
    "GET /api/v1/keys": Row(to="/keys", may=ADMINS),
    # The key of the settings seals already, and another one is not the server's to make: a 409.
    "POST /api/v1/keys/rotate": Row(to="/keys/rotate", may=ADMINS),
    "POST /api/v1/queues/{name}/dead/purge": Row(to="/queues/none/dead/purge", may=ADMINS, json={}),
    "GET /api/v1/tasks": Row(to="/tasks", may=reading("tasks")),
    "GET /api/v1/tasks/{id}": Row(to="/tasks/none", may=reading("tasks")),
    "POST /api/v1/tasks/{id}/retry": Row(to="/tasks/none/retry", may=writing("tasks")),
    "POST /api/v1/tasks/{id}/cancel": Row(to="/tasks/none/cancel", may=writing("tasks")),
}


@dataclass
class Callers:
    api: Api
    tokens: dict[str, str | None] = field(default_factory=dict)

    def as_(self, caller: str) -> Api:
        return self.api.as_(self.tokens[caller])

    async def add(self, caller: str, path: str, **asked: object) -> None:
        made = await self.api.post(path, {"name": caller, **asked})
        assert made.status == 201, made.body
        self.tokens[caller] = made.data["token"]


@pytest.fixture
async def callers(api: Api) -> Callers:
    callers = Callers(api, {"nobody": None, "fixed admin": ADMIN_TOKEN})
    for role in ROLES:
        await callers.add(role, "/tokens", role=role)
    for scope in SCOPES:
        await callers.add(scope, "/tokens", scopes=[scope])
    for id in ("c1", "c2"):
        assert (await api.post("/clusters", {"id": id})).status == 201
        await callers.add(f"sidecar of {id}", f"/clusters/{id}/tokens")
    return callers


def test_every_kind_of_caller_has_a_place_in_the_table() -> None:
    assert {name for row in TABLE.values() for name in row.may} <= EVERYBODY


async def test_every_route_has_a_row_and_every_row_a_route(api: Api) -> None:
    """From the document, which clients see; it is made from the routes that are served."""
    paths = (await api.get("//api/openapi.json")).json["paths"]

    assert {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods} == set(TABLE)


async def test_every_route_that_is_served_has_a_row(service: Service) -> None:
    assert {route.name for route in service.parts.routes(Role.ALL)} == set(TABLE)


async def test_every_caller_gets_where_the_table_says_and_nowhere_else(callers: Callers) -> None:
    wrong = []
    for name, row in TABLE.items():
        for caller in CALLERS:
            method = name.partition(" ")[0]
            answer = await callers.as_(caller).call(method, row.to, json=row.json)
            assert answer.status < 500, (name, caller, answer.body)
            expected = "in" if caller in row.may else 401 if caller == "nobody" else row.refusal
            got = answer.status if answer.status in {401, 403} else "in"
            if got != expected:
                wrong.append(f"{caller} at {name}: {got}, not {expected}")

    assert not wrong, "\n".join(wrong)


async def test_no_token_of_any_kind_opens_more_when_asked_with_head(callers: Callers) -> None:
    for name, row in TABLE.items():
        if name.startswith("GET ") and row.may != EVERYBODY:
            assert (await callers.as_("nobody").call("HEAD", row.to)).status == 401, name
            refused = sorted(EVERYBODY - row.may - {"nobody"})
            assert (await callers.as_(refused[0]).call("HEAD", row.to)).status == 403, name


HIDDEN = [
    "",
    "/",
    "/v1",
    "/v1/nothing",
    "/v1/rules/",
    "/v2/nothing",
    "/v3",
    "/docs/x",
    "/openapi.json/x",
    "/v1/%72ules",
]


async def test_below_api_a_stranger_learns_nothing_about_routes(api: Api) -> None:
    for path, method in itertools.product(HIDDEN, ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD")):
        answer = await api.as_(None).call(method, f"//api{path}")
        assert answer.status == 401, (method, path)
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="alertagent"'


async def test_a_sidecar_cannot_act_for_another_cluster_or_make_one_known(callers: Callers) -> None:
    stranger = callers.as_("sidecar of c1")

    for cluster in ("c2", "c9"):
        got = await stranger.get(f"/config/sync?cluster_id={cluster}&type=prometheus")
        assert (got.status, got.error["code"]) == (403, "auth.other_cluster"), cluster
        report = await stranger.post("/config/sync/status", {**REPORT, "cluster_id": cluster})
        assert report.status == 403, cluster
        adopted = await stranger.post(f"/config/adopt?cluster_id={cluster}&type=prometheus")
        assert (adopted.status, adopted.error["code"]) == (403, "auth.other_cluster"), cluster
    assert (await callers.as_("admin").get("/clusters/c9")).status == 404
