"""Adoption over HTTP, as a sidecar with `--adopt` asks for it before it writes anything."""

from alertagent.core.adoption.service import Adoption
from alertagent.core.audit.model import actor_of
from alertagent.core.auth.model import may_register
from alertagent.core.clusters.model import ConfigType
from alertagent.core.clusters.service import Clusters
from alertagent.core.configs.api import SYNC, TAR, YAML, ConfigQuery, require_sync
from alertagent.kernel.errors import UnsupportedMedia
from alertagent.web.call import Call
from alertagent.web.models import Model
from alertagent.web.room import FILES
from alertagent.web.routes import LARGE_BODY_LIMIT, post


class AdoptedView(Model):
    """How many rules were stored, or which version of an Alertmanager configuration."""

    rules: int
    version: str | None
    warnings: tuple[str, ...]


class AdoptionApi:
    def __init__(self, adoption: Adoption, clusters: Clusters) -> None:
        self._adoption = adoption
        self._clusters = clusters

    @post("/config/adopt", access=SYNC, status=201, body_limit=LARGE_BODY_LIMIT, bound=FILES, reads=(YAML, TAR))
    async def adopt(self, call: Call, query: ConfigQuery, body: bytes) -> AdoptedView:
        """Take in what a cluster runs already; 409 `adopt.not_empty` where the server has something for it."""
        require_sync(call, query.cluster_id)
        is_bundle = call.media_type == TAR
        if is_bundle and query.type is not ConfigType.ALERTMANAGER:
            raise UnsupportedMedia(f"rules come as {YAML}, not as {TAR}")
        actor = actor_of(call)
        if may_register(call.principal):
            await self._clusters.register(actor, query.cluster_id, query.type)
        if query.type is ConfigType.ALERTMANAGER:
            done = await self._adoption.configuration(actor, query.cluster_id, body, is_bundle=is_bundle)
        else:
            done = await self._adoption.rules(actor, query.cluster_id, query.type, body)
        return AdoptedView(rules=done.rules, version=done.version, warnings=tuple(done.warnings))
