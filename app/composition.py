"""The composition root: makes every service of one installation; called by the CLI and the server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from avatar.version import worker_version

from agent.answering import Answering
from agent.approvals.deciding import Deciding, Known
from agent.approvals.models import Approval
from agent.approvals.service import ApprovalService
from agent.brain import Brain
from agent.experts import ConfiguredModels, ConsulExperts, Router
from agent.model import ModelAnswers, TurnLimits
from agent.sessions.service import SessionService
from agent.tools import ALL_TOOLS, Toolset
from agent.tools.doors import StudioDoors
from agent.tools.wrappers import Guards, standard_toolset
from agent.understanding import Grammar
from agent.watching import RenderWatch
from app.farm_choice import Farm, choose_farm
from app.migrating import migrate
from farm.scheduler import Scheduler
from policy import Policy, Principal
from policy.audit import AuditLog
from policy.audit.head import HeadFile
from soundstage.blobs import BlobStore, BucketAccess
from soundstage.database import Database
from soundstage.events import EventStore
from soundstage.settings import Settings
from soundstage.telemetry import Metrics
from studio.wiring import Studio, build_studio


@dataclass(frozen=True, slots=True)
class Services:
    """Everything one process needs. Making it opens no connection and starts nothing."""

    settings: Settings
    database: Database
    blobs: BlobStore
    events: EventStore
    metrics: Metrics
    policy: Policy
    audit: AuditLog
    deciding: Deciding
    farm: Farm
    scheduler: Scheduler
    studio: Studio
    watch: RenderWatch
    brain: Brain
    experts: Router
    answering: Answering

    @property
    def own_personas(self) -> Path:
        """Where personas made through the API lie; the operator's are in `personas_dir`."""
        return self.studio.library.own


def build(settings: Settings) -> Services:
    """All services of an installation, wired to each other."""
    database = Database(settings.database_url, busy_timeout_ms=settings.database.busy_timeout_ms)
    blobs = BlobStore.open(
        settings.blobs_url,
        quota_mib=settings.blobs.quota_mib,
        cache=settings.state_dir / "blob-cache",
        cache_mib=settings.blobs.cache_mib,
        access=BucketAccess.of(settings.blobs),
    )
    events = EventStore(
        database, poll_s=settings.events.poll_ms / 1000, heartbeat_s=settings.events.heartbeat_s
    )
    farm = choose_farm(settings, database, blobs)
    scheduler = farm.scheduler
    audit = AuditLog(database, HeadFile(settings.state_dir / "audit-head.json"))
    studio = build_studio(
        settings, database, events, blobs, scheduler, farm.times, audit, worker_version=worker_version()
    )
    watch = RenderWatch(studio.renders, events)
    experts = Router([ConsulExperts(settings.experts), ConfiguredModels(settings.llm)])
    policy = Policy.open(settings, database, events)
    approvals = ApprovalService(
        database, events, audit, lifetime=timedelta(hours=settings.policy.approval_hours)
    )
    guards = Guards(database, events, policy.decider, audit, approvals, settings.policy.tool_calls_per_minute)
    toolset = standard_toolset(ALL_TOOLS, guards)
    sessions = SessionService(database, events, audit)
    doors = studio_doors(studio, settings.out_dir)
    brain = build_brain(settings, toolset, sessions, doors, watch, experts)
    return Services(
        settings=settings,
        database=database,
        blobs=blobs,
        events=events,
        metrics=Metrics(),
        policy=policy,
        audit=audit,
        deciding=Deciding(approvals, policy.decider, toolset, doors, asker_of(policy)),
        farm=farm,
        scheduler=scheduler,
        studio=studio,
        watch=watch,
        brain=brain,
        experts=experts,
        answering=Answering(brain, events),
    )


def build_brain(
    settings: Settings,
    toolset: Toolset,
    sessions: SessionService,
    doors: StudioDoors,
    watch: RenderWatch,
    experts: Router,
) -> Brain:
    """The agent; with a model behind it where the settings name one, or a Consul in which one may appear."""
    grammar = Grammar.load()
    limits = TurnLimits(settings.agent.turn_calls, settings.agent.turn_s, settings.agent.turn_tokens)
    asks_models = (
        settings.llm.prefer != "none"
        and any(one.base_url is not None for one in (settings.llm.local, settings.llm.cloud))
    ) or settings.experts.consul_url is not None
    return Brain(
        grammar=grammar,
        toolset=toolset,
        sessions=sessions,
        doors=doors,
        watch=watch,
        model=ModelAnswers(experts, toolset, grammar, limits) if asks_models else None,
    )


def asker_of(policy: Policy) -> Known:
    """Who asked for an approval, with the rights they have now."""

    async def known(row: Approval) -> Principal | None:
        match row.requester_kind:
            case "loopback" if not policy.trust.loopback_is_admin:
                return None
            case "local" | "loopback" as kind:
                return Principal(row.requester_id, row.requester_name, "admin", kind, tenant=row.tenant)
            case _:
                async with policy.db.session() as session:
                    return await policy.keys.by_id(session, row.requester_id)

    return known


def studio_doors(studio: Studio, out_dir: Path) -> StudioDoors:
    """What the agent's tools may reach of the studio."""
    return StudioDoors(studio.renders, studio.assets, studio.library, studio.personas, out_dir)


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Services]:
    """Services over a database that is up to date, for commands that make no videos."""
    services = build(settings)
    try:
        await migrate(services.database, settings.state_dir)
        yield services
    finally:
        await services.database.close()


@asynccontextmanager
async def working(services: Services, *, drive: bool = True, serving: bool = False) -> AsyncIterator[None]:
    """The worker can be used meanwhile. With `drive`, renders are made: by this process, or by another one
    that holds the dispatcher's lock. `serving` says that workers elsewhere can call this process.
    """
    if services.farm.transfer is None:
        await services.scheduler.start()
    elif not serving:
        # Workers call the server, so it is the one that drives.
        drive = False
        await services.farm.check_server()
    if drive:
        await services.studio.dispatcher.start()
    if serving:
        await services.studio.prober.courier.start()
        await services.deciding.start()
    try:
        yield
    finally:
        await services.deciding.close()
        await services.studio.prober.courier.close()
        await services.studio.dispatcher.close()
        await services.scheduler.close()
