"""The composition root: makes every service of one installation; called by the CLI and the server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from agent.brain import Brain
from agent.sessions.service import SessionService
from agent.tools import ALL_TOOLS, standard_toolset
from agent.tools.doors import StudioDoors
from agent.understanding import Grammar
from agent.watching import RenderWatch
from app.migrating import migrate
from app.worker_command import worker_command
from farm.local import LocalScheduler
from farm.local.scheduler import LocalOptions
from policy import Policy
from soundstage.blobs import BlobStore
from soundstage.database import Database
from soundstage.events import EventStore
from soundstage.settings import Settings
from soundstage.telemetry import Metrics
from studio.assets.service import AssetService
from studio.consents.service import ConsentService
from studio.personas.library import PersonaLibrary
from studio.personas.service import PersonaService
from studio.projects.service import ProjectService
from studio.renders.admission import Admission, Limits
from studio.renders.dispatcher import Dispatcher, DispatcherOptions
from studio.renders.making import MakingOptions
from studio.renders.service import RenderService
from studio.scenes.service import SceneService


@dataclass(frozen=True, slots=True)
class Services:
    """Everything one process needs. Making it opens no connection and starts nothing."""

    settings: Settings
    database: Database
    blobs: BlobStore
    events: EventStore
    metrics: Metrics
    policy: Policy
    projects: ProjectService
    scenes: SceneService
    assets: AssetService
    consents: ConsentService
    personas: PersonaLibrary
    persona_maker: PersonaService
    renders: RenderService
    scheduler: LocalScheduler
    dispatcher: Dispatcher
    sessions: SessionService
    doors: StudioDoors
    watch: RenderWatch
    brain: Brain

    @property
    def own_personas(self) -> Path:
        """Where personas made through the API lie; the operator's are in `personas_dir`."""
        return self.settings.state_dir / "personas"


def build(settings: Settings) -> Services:
    """All services of an installation, wired to each other."""
    database = Database(settings.database_url, busy_timeout_ms=settings.database.busy_timeout_ms)
    blobs = BlobStore.open(
        settings.blobs_url, quota_mib=settings.blobs.quota_mib, cache=settings.state_dir / "blob-cache"
    )
    events = EventStore(database, poll_s=settings.events.poll_ms / 1000)
    policy = Policy.open(settings, database, events)
    personas = PersonaLibrary(settings.personas_dir, settings.state_dir / "personas")
    consents = ConsentService(database)
    limits = Limits(
        script_chars=settings.limits.script_chars,
        scenes=settings.limits.scenes,
        queued_renders=settings.limits.queued_renders,
    )
    admission = Admission(consents, personas, limits)
    scheduler = LocalScheduler(blobs, _local_options(settings))
    dispatcher = Dispatcher(database, events, blobs, scheduler, _dispatcher_options(settings))
    renders = RenderService(
        database, events, blobs, personas, admission, out_dir=settings.out_dir, wake=dispatcher.wake
    )
    assets = AssetService(database, blobs, upload_mib=settings.limits.upload_mib)
    persona_maker = PersonaService(database, blobs, personas, consents, admission, scheduler)
    doors = StudioDoors(renders, assets, personas, persona_maker, settings.out_dir)
    watch = RenderWatch(renders, events)
    sessions = SessionService(database)
    brain = Brain(
        grammar=Grammar.load(),
        toolset=standard_toolset(ALL_TOOLS, database, events),
        sessions=sessions,
        doors=doors,
        watch=watch,
    )
    return Services(
        settings=settings,
        database=database,
        blobs=blobs,
        events=events,
        metrics=Metrics(),
        policy=policy,
        projects=ProjectService(database),
        scenes=SceneService(database),
        assets=assets,
        consents=consents,
        personas=personas,
        persona_maker=persona_maker,
        renders=renders,
        scheduler=scheduler,
        dispatcher=dispatcher,
        sessions=sessions,
        doors=doors,
        watch=watch,
        brain=brain,
    )


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
async def working(settings: Settings) -> AsyncIterator[Services]:
    """The same, and renders are made: by this process, or by another one that holds the dispatcher's lock."""
    async with opened(settings) as services:
        await services.dispatcher.start()
        try:
            yield services
        finally:
            await services.dispatcher.close()
            await services.scheduler.close()


def _local_options(settings: Settings) -> LocalOptions:
    return LocalOptions(
        command=worker_command(settings),
        work_dir=settings.state_dir.absolute() / "work",
        cache_dir=settings.state_dir.absolute() / "cache",
        concurrency=settings.worker.concurrency,
    )


def _dispatcher_options(settings: Settings) -> DispatcherOptions:
    making = MakingOptions(
        out_dir=settings.out_dir,
        worker_version=version("soundstage-avatar"),
        time_limit_s=settings.worker.timeout_s,
    )
    return DispatcherOptions(state_dir=settings.state_dir, making=making)
