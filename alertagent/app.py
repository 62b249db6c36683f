"""From settings to a running service. The one file that knows every class.

Everything that is started goes on one exit stack in the same line, so that the end is the beginning backwards:
no new requests, then no new tasks, then the last writes, then the connections, then the engines.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import partial

import structlog
from aiohttp import web
from redis.asyncio import Redis

from alertagent import __version__
from alertagent.core.adoption.api import AdoptionApi
from alertagent.core.adoption.service import Adoption
from alertagent.core.alertmanager import tasks as alertmanager_tasks
from alertagent.core.alertmanager.api import AlertmanagerApi
from alertagent.core.alertmanager.service import AlertmanagerConfigs
from alertagent.core.alerts.actions_api import ActionsApi
from alertagent.core.alerts.api import AlertsApi
from alertagent.core.alerts.firing import FiringAlerts
from alertagent.core.alerts.handling import Handling
from alertagent.core.alerts.intake import Timeouts
from alertagent.core.alerts.kinds import DISPATCH
from alertagent.core.alerts.retention import Retention
from alertagent.core.alerts.service import Alerts
from alertagent.core.analysis import tasks as analysis_tasks
from alertagent.core.analysis.analyzers import Analyzers
from alertagent.core.analysis.api import AnalysisApi
from alertagent.core.analysis.context import Surroundings
from alertagent.core.analysis.planning import Planning
from alertagent.core.analysis.policies import Policies
from alertagent.core.analysis.runs import Runs
from alertagent.core.analysis.service import Analyses
from alertagent.core.analysis.trial import Trials
from alertagent.core.audit.service import Audit
from alertagent.core.auth.api import TokensApi
from alertagent.core.auth.service import Tokens
from alertagent.core.clusters.api import ClustersApi
from alertagent.core.clusters.model import ConfigType
from alertagent.core.clusters.proxy import QueryProxy
from alertagent.core.clusters.service import Clusters
from alertagent.core.configs import tasks as config_tasks
from alertagent.core.configs.api import ConfigsApi
from alertagent.core.configs.preview import ConfigPreviews
from alertagent.core.configs.service import Configs
from alertagent.core.configs.watch import ConfigWatch
from alertagent.core.escalation import tasks as escalation_tasks
from alertagent.core.escalation.api import EscalationApi
from alertagent.core.escalation.service import Escalations
from alertagent.core.events.api import EventsApi
from alertagent.core.events.model import Topic
from alertagent.core.events.observer import TaskHints
from alertagent.core.events.service import Events
from alertagent.core.gateway.api import GatewayApi
from alertagent.core.gateway.service import Gateway
from alertagent.core.heartbeats.api import HeartbeatsApi
from alertagent.core.heartbeats.service import Heartbeats
from alertagent.core.keys.api import KeysApi
from alertagent.core.keys.service import Keys
from alertagent.core.notify import tasks as notify_tasks
from alertagent.core.notify.api import NotifyApi
from alertagent.core.notify.assignments import Assignments
from alertagent.core.notify.budgets import Budgets
from alertagent.core.notify.channels import Channels
from alertagent.core.notify.circuits import Circuits
from alertagent.core.notify.circuits_api import CircuitsApi
from alertagent.core.notify.deliver import Deliveries
from alertagent.core.notify.digests import Digests
from alertagent.core.notify.ends import Ends
from alertagent.core.notify.explain import Explanations
from alertagent.core.notify.explain_api import ExplainApi
from alertagent.core.notify.groups import Groups
from alertagent.core.notify.kinds import DELIVER
from alertagent.core.notify.looking import Looking
from alertagent.core.notify.plugins import Plugins
from alertagent.core.notify.plugins_api import PluginsApi
from alertagent.core.notify.prompt import Prompt
from alertagent.core.notify.retrying import Retries
from alertagent.core.notify.robots import Robots
from alertagent.core.notify.trying import Trying
from alertagent.core.notify.waking import Waking
from alertagent.core.notify.wording import Wordings
from alertagent.core.routing.api import RoutingApi
from alertagent.core.routing.exchange import Exchange as RoutingExchange
from alertagent.core.routing.service import Routing
from alertagent.core.rules.api import RulesApi
from alertagent.core.rules.exchange import Exchange
from alertagent.core.rules.files_api import FilesApi
from alertagent.core.rules.history import History
from alertagent.core.rules.journal import Journal
from alertagent.core.rules.service import Rules
from alertagent.core.selfwatch.model import Patience
from alertagent.core.selfwatch.service import SelfWatch
from alertagent.core.silences.api import SilencesApi
from alertagent.core.silences.service import Silences
from alertagent.core.tasks.api import TasksApi
from alertagent.core.tasks.service import Queues
from alertagent.core.templates.api import TemplatesApi
from alertagent.core.templates.preview import Samples
from alertagent.core.templates.renderer import Renderer
from alertagent.core.templates.service import Templates
from alertagent.kernel import trace
from alertagent.kernel.clock import Clock, SystemClock
from alertagent.kernel.errors import Problem
from alertagent.keys import SEALED, seals_of
from alertagent.memory import giving_back
from alertagent.metrics import Metrics
from alertagent.plugins.addresses import AddressGuard
from alertagent.plugins.registry import Registry
from alertagent.plugins.transport import Transport
from alertagent.process import announce_redis, ask, background, connected, engines, listening, secret
from alertagent.queue.begun import Begun
from alertagent.queue.connection import connect
from alertagent.queue.ledger import Ledger
from alertagent.queue.options import QueueOptions
from alertagent.queue.pressure import Bounds, Pressure
from alertagent.queue.producer import Producer
from alertagent.queue.statistics import Statistics
from alertagent.queue.tasks import Tasks
from alertagent.queue.traced import traced
from alertagent.queue.worker import Handler, Workers
from alertagent.settings import Settings
from alertagent.storage.breakers import Breakers
from alertagent.storage.database import Database
from alertagent.storage.listening import Listening
from alertagent.storage.replies import StoredReplies
from alertagent.storage.resealing import Resealing
from alertagent.storage.seals import Seals
from alertagent.web import openapi
from alertagent.web.health import HealthApi, Readiness
from alertagent.web.routes import Route
from alertagent.web.server import application, collect

QUEUES = ("notification", "ai_analysis", "config_sync")
# A backlog lets the number of tasks at once grow from here to what the settings allow.
LEAST_WORKERS = 8

HOUSEKEEPING_EVERY = timedelta(hours=1)

log = structlog.get_logger()


class Role(StrEnum):
    """What a process does: answer requests, work on tasks, or both."""

    ALL = "all"
    API = "api"
    WORKER = "worker"


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A running AlertAgent. `fresh_token` is set when this start made the first administrator's token."""

    address: str
    fresh_token: str | None
    parts: "Parts"


class Parts:
    """Every feature, built from the bottom up."""

    def __init__(
        self,
        settings: Settings,
        *,
        database: Database,
        redis: Redis,
        transport: Transport,
        guard: AddressGuard,
        clock: Clock,
        seals: Seals,
        intake: Database | None = None,
    ) -> None:
        self.settings = settings
        self.database = database
        self.seals = seals
        self.redis = redis
        self.clock = clock
        self.metrics = Metrics()
        self.registry = Registry.load()
        if settings.plugins.directory is not None:
            self.registry.reload(settings.plugins.directory)
        self.ledger = Ledger(database)
        self.statistics = Statistics(QUEUES, redis=redis, ledger=self.ledger)
        bounds = Bounds(depth=settings.queue.max_depth, oldest=settings.queue.max_age)
        # Alerts lead here; nothing else can grow without end.
        pressure = Pressure(self.statistics, bounds={DISPATCH.queue: bounds}, measured=self.metrics.backlog.measured)
        self.producer = Producer(redis, self.ledger, observer=self.metrics.queue, pressure=pressure)
        self.replies = StoredReplies(database)
        self.listening = Listening(database)
        self.events = Events(redis)
        self.task_observer = TaskHints(self.metrics.queue, self.events)
        self.audit = Audit(self.events.audited)
        self.tokens = Tokens(
            database,
            self.audit,
            clock,
            admin_token=secret(settings.auth.admin_token),
            listening=self.listening,
        )
        self.queues = Queues(
            QUEUES, database=database, redis=redis, ledger=self.ledger, statistics=self.statistics, audit=self.audit
        )
        self.keys = Keys(database, seals, Resealing(database, seals, SEALED), self.audit)
        self._govern(database, transport, guard)
        self._take_in(database, intake)
        self._tell(database, transport, guard)
        self.readiness = Readiness(needed={"database": self._ask_database}, shown={"redis": self._ask_redis})

    def _govern(self, database: Database, transport: Transport, guard: AddressGuard) -> None:
        """Rules, clusters and what they must run."""
        clock = self.clock
        self.clusters = Clusters(database, self.audit, check_url=partial(guard.check_url, loc=("query_url",)))
        self.query_proxy = QueryProxy(self.clusters, transport)
        self.journal = Journal(self.producer, self.audit)
        self.rules = Rules(database, self.journal, clock)
        self.history = History(database, self.journal, clock)
        self.exchange = Exchange(database, self.journal, self.clusters, transport, clock)
        self.watch = ConfigWatch(self.listening)
        self.alertmanager = AlertmanagerConfigs(database, self.clusters, self.producer, self.audit, self.seals)
        self.configs = Configs(
            database,
            self.clusters,
            self.rules,
            self.watch,
            seals=self.seals,
            renderers={ConfigType.ALERTMANAGER: self.alertmanager},
        )
        self.clusters.guard(self.configs)
        self.previews = ConfigPreviews(self.clusters, self.rules, self.configs)
        self.adoption = Adoption(self.clusters, self.exchange, self.alertmanager)

    def _take_in(self, database: Database, intake: Database | None) -> None:
        """Alerts, and what people do with them."""
        clock = self.clock
        changed = partial(self.events.changed, Topic.ALERTS)
        self.alerts = Alerts(database, self.producer, clock, changed, intake=intake)
        self.retention = Retention(database, clock, keep=self.settings.alerts.keep_ended)
        self.firing = FiringAlerts(database)
        self.silences = Silences(database, self.firing, self.audit, clock)
        self.heartbeats = Heartbeats(database, self.alerts, self.audit, clock)
        self.handling = Handling(database, self.alerts, self.audit, self.producer, clock)
        self.selfwatch = SelfWatch(
            database,
            self.configs,
            self.alerts,
            clock,
            patience=_patience(self.settings),
            url=_external_url(self.settings),
        )

    def _tell(self, database: Database, transport: Transport, guard: AddressGuard) -> None:
        """Who hears of alerts, and when."""
        clock, settings = self.clock, self.settings
        self.channels = Channels(
            database,
            self.audit,
            self.producer,
            registry=self.registry,
            guard=guard,
            transport=transport,
            seals=self.seals,
        )
        self.routing = Routing(database, self.alerts, self.channels, self.audit)
        self.channels.guard(self.routing)
        self.routing_exchange = RoutingExchange(self.routing, self.channels)
        self.gateway = Gateway(database, self.silences, self.routing, clock)
        self._build_analysis(guard, transport)
        self.circuits = Circuits(
            database,
            self.breakers,
            self.audit,
            registry=self.registry,
            clock=clock,
            request_timeout=settings.outgoing.timeout,
        )
        self.explanations = Explanations(
            database,
            self.alerts,
            routing=self.routing,
            silences=self.silences,
            channels=self.channels,
            circuits=self.circuits,
            clock=clock,
        )
        self.digests = Digests(
            database,
            self.alerts,
            self.producer,
            clock,
            late_after=settings.notify.late_after,
            at_least=settings.notify.digest_from,
        )
        self.ends = Ends(
            database,
            self.alerts,
            routing=self.routing,
            registry=self.registry,
            producer=self.producer,
            clock=clock,
        )
        self.handling.on_assign(Assignments(self.alerts, self.producer, clock).tell)
        self.renderer = Renderer()
        self.templates = Templates(database, self.audit, self.renderer, self.metrics.message_worded)
        wordings = Wordings(database, self.templates)
        robots = Robots(
            self.channels,
            self.circuits,
            Budgets(self.redis, clock),
            self.digests,
            registry=self.registry,
            clock=clock,
        )
        self.deliveries = Deliveries(
            database,
            self.alerts,
            self.channels,
            ends=self.ends,
            robots=robots,
            producer=self.producer,
            transport=transport,
            clock=clock,
            external_url=_external_url(settings),
            seals=self.seals,
            page_url=settings.server.external_url or "",
            wordings=wordings,
            observer=self.metrics.notifications,
        )
        self.prompt = Prompt(
            self.deliveries,
            robots,
            begun=Begun(self.redis, self.ledger, self.producer, observer=self.task_observer),
            producer=self.producer,
            seals=self.seals,
            clock=clock,
        )
        self.groups = Groups(
            database,
            self.alerts,
            self.firing,
            routing=self.routing,
            analyses=self.planning,
            looking=Looking(self.alerts, self.silences, self.prompt, self.producer),
            producer=self.producer,
            clock=clock,
        )
        self.routing.on_change(self.groups.rerouted)
        self.runs.on_end(self.groups.analysed)
        self.plugins = Plugins(
            database,
            self.audit,
            self.producer,
            registry=self.registry,
            directory=settings.plugins.directory,
            listening=self.listening,
        )
        self.trying = Trying(self.channels, wordings, self.registry, clock)
        tasks = Tasks([DISPATCH.queue], redis=self.redis, ledger=self.ledger)
        self.retries = Retries(database, self.alerts, tasks, self.audit)
        self.queues.on_reopen(DELIVER.type, self.retries.take_up)
        self.queues.on_cancel(DELIVER.type, self.deliveries.cancelled)
        self.waking = Waking(database, self.channels, self.circuits, tasks)
        self.circuits.on_close(self.waking.wake)
        self.escalations = Escalations(
            database,
            self.alerts,
            self.channels,
            routing=self.routing,
            silences=self.silences,
            audit=self.audit,
            producer=self.producer,
            clock=clock,
        )
        self.readiness = Readiness(needed={"database": self._ask_database}, shown={"redis": self._ask_redis})

    def _build_analysis(self, guard: AddressGuard, transport: Transport) -> None:
        self.breakers = Breakers(
            self.database, self.clock, opened=self.metrics.breaker_opened, shown=self.metrics.breakers_shown
        )
        self.analyzers = Analyzers(
            self.database, self.audit, self.breakers, registry=self.registry, guard=guard, seals=self.seals
        )
        self.policies = Policies(self.database, self.audit, self.clock)
        self.planning = Planning(self.alerts, self.analyzers, self.policies, self.producer, self.clock)
        callbacks_at = f"{_external_url(self.settings)}/api/v1/analysis/callbacks"
        self.runs = Runs(
            self.database,
            self.alerts,
            self.producer,
            self.clock,
            callbacks_at=callbacks_at,
            counted=self.metrics.analysis_ended,
        )
        self.trials = Trials(self.analyzers, self.breakers, transport, self.clock, callbacks_at=callbacks_at)
        self.analyses = Analyses(
            self.database,
            self.alerts,
            self.analyzers,
            planning=self.planning,
            runs=self.runs,
            surroundings=Surroundings(
                self.database,
                self.alerts,
                rules=self.rules,
                silences=self.silences,
                proxy=self.query_proxy,
                clock=self.clock,
            ),
            breakers=self.breakers,
            transport=transport,
            clock=self.clock,
        )

    def routes(self, role: Role) -> list[Route]:
        """A worker is watched like any process but answers no requests."""
        routes: list[Route] = []
        health = HealthApi(self.readiness, self.metrics.registry, lambda: openapi.document(routes, version=__version__))
        routes += collect([health] if role is Role.WORKER else [health, *self._apis()])
        return routes

    def workers(self) -> Workers:
        queue = self.settings.queue
        options = QueueOptions(
            lease=queue.lease,
            grace=queue.grace,
            retention=queue.keep_ended,
            concurrency={
                "notification": queue.notification_workers,
                "ai_analysis": queue.analysis_workers,
                "config_sync": queue.config_workers,
            },
            least=dict.fromkeys(QUEUES, LEAST_WORKERS),
            first=DISPATCH.queue,
        )
        handlers = {
            "notification": self.notification_handlers(),
            "ai_analysis": analysis_tasks.handlers(self.analyses),
            "config_sync": {**config_tasks.handlers(self.configs), **alertmanager_tasks.handlers(self.configs)},
        }
        return Workers(
            {queue: {type: traced(handler) for type, handler in by.items()} for queue, by in handlers.items()},
            redis=self.redis,
            ledger=self.ledger,
            options=options,
            rules={**notify_tasks.rules(), **analysis_tasks.rules()},
            observer=self.task_observer,
            producer=self.producer,
        )

    def notification_handlers(self) -> dict[str, Handler]:
        """What follows if nobody acknowledges an alert is planned when it is put into its groups."""
        telling = notify_tasks.handlers(
            self.groups, self.deliveries, self.prompt, self.ends, after_change=self.escalations.plan
        )
        return {**telling, **escalation_tasks.handlers(self.escalations)}

    def _apis(self) -> Sequence[object]:
        alerts = self.settings.alerts
        timeouts = Timeouts(resolve=alerts.resolve_timeout, stale=alerts.stale_after)
        return [
            TokensApi(self.tokens),
            ClustersApi(self.clusters, self.tokens, self.query_proxy),
            RulesApi(self.rules, self.history, self.configs, self.previews),
            FilesApi(self.exchange, self.previews),
            ConfigsApi(self.configs, self.clusters, self.rules, silent_after=self.settings.configs.silent_after),
            AlertmanagerApi(self.alertmanager, self.configs),
            AdoptionApi(self.adoption, self.clusters),
            AlertsApi(self.alerts, self.clock, timeouts, self.metrics.alerts_received, drop_labels=alerts.drop_labels),
            ActionsApi(self.alerts, self.handling),
            EventsApi(self.events),
            GatewayApi(self.gateway, self.silences, self.clock),
            EscalationApi(self.escalations),
            HeartbeatsApi(self.heartbeats, self.clock),
            SilencesApi(self.silences, self.clock),
            RoutingApi(self.routing, self.routing_exchange),
            ExplainApi(self.explanations),
            TemplatesApi(self.templates, Samples(self.alerts, self.clock, self.settings.server.external_url or "")),
            NotifyApi(
                self.channels,
                self.deliveries,
                self.retries,
                self.plugins,
                circuits=self.circuits,
                clock=self.clock,
                trying=self.trying,
            ),
            PluginsApi(self.plugins, self.registry, self.trying),
            CircuitsApi(self.channels, self.circuits, self.clock),
            AnalysisApi(
                self.alerts,
                self.clock,
                analyzers=self.analyzers,
                policies=self.policies,
                analyses=self.analyses,
                trials=self.trials,
            ),
            TasksApi(self.queues),
            KeysApi(self.keys),
        ]

    async def _ask_database(self) -> None:
        await self.database.fetchval("SELECT 1")

    async def _ask_redis(self) -> None:
        await ask(self.redis)


@contextlib.asynccontextmanager
async def running(settings: Settings, role: Role = Role.ALL) -> AsyncIterator[Service]:
    """Run the service for as long as the block lasts. Raises Fatal when it cannot start."""
    async with contextlib.AsyncExitStack() as stack:
        urls = await stack.enter_async_context(engines(settings))
        database = await stack.enter_async_context(await connected(urls.database, settings.database.connections - 1))
        intake = await stack.enter_async_context(Database.connect(urls.database, connections=1))
        seals = await seals_of(settings, database)
        redis = await stack.enter_async_context(contextlib.aclosing(connect(urls.redis)))
        guard = AddressGuard(settings.outgoing.allow_networks)
        transport = await stack.enter_async_context(
            Transport(guard, timeout=settings.outgoing.timeout, trace=trace.current)
        )
        parts = Parts(
            settings,
            database=database,
            redis=redis,
            transport=transport,
            guard=guard,
            clock=SystemClock(),
            seals=seals,
            intake=intake,
        )
        await announce_redis(redis)
        await stack.enter_async_context(parts.renderer.running())
        await stack.enter_async_context(parts.producer.running())
        if role is not Role.API:
            await stack.enter_async_context(parts.workers().running())
            await stack.enter_async_context(
                background(parts.alerts.sweeping(), parts.heartbeats.looking(), _housekeeping(parts))
            )
        await stack.enter_async_context(
            background(
                parts.alerts.committing(),
                parts.listening.run(),
                parts.breakers.watching(),
                parts.waking.looking_again(),
                parts.plugins.following(),
                giving_back(),
            )
        )
        if role is not Role.API:
            await stack.enter_async_context(background(parts.selfwatch.watching()))
        await stack.enter_async_context(parts.events.running())
        server, app = settings.server, _application(parts, role)
        address = await stack.enter_async_context(listening(app, server.host, server.port))
        stack.callback(_stop_inviting, parts)
        # Last: a start that failed after it could never show the token, and no other start makes one.
        fresh_token = await parts.tokens.first_admin()
        log.info("service.started", address=address, version=__version__, role=role)
        yield Service(address=address, fresh_token=fresh_token, parts=parts)


def _stop_inviting(parts: Parts) -> None:
    """The first thing at the end: probes are told, and those who wait for a change are let go."""
    parts.readiness.is_stopping = True
    parts.watch.close()
    parts.events.close()
    log.info("service.stopping")


async def _housekeeping(parts: Parts) -> None:
    while True:
        with contextlib.suppress(Problem):
            await parts.replies.forget_old()
            kept = parts.settings.configs
            await parts.configs.forget(history=kept.keep_history, silent=kept.forget_after)
        with contextlib.suppress(Problem):
            await parts.retention.tidy()
            await parts.escalations.forget_old()
            await parts.silences.forget_old()
            await parts.analyses.tidy()
        await asyncio.sleep(HOUSEKEEPING_EVERY.total_seconds())


def _application(parts: Parts, role: Role) -> web.Application:
    return application(
        parts.routes(role),
        authenticator=parts.tokens,
        replies=parts.replies,
        registry=parts.metrics.registry,
    )


def _external_url(settings: Settings) -> str:
    server = settings.server
    return (server.external_url or f"http://{server.host}:{server.port}").rstrip("/")


def _patience(settings: Settings) -> Patience:
    watched = settings.configs
    return Patience(
        silent_after=watched.silent_after, stale_after=watched.stale_after, drift_shown_for=watched.drift_shown_for
    )
