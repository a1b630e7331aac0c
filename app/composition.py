"""The composition root: makes every service of one installation; called by the CLI and the server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import cast

from avatar.version import worker_version

from agent.answering.answers import ReaderAnswers
from agent.approvals.decisions import ApprovalDecisions
from agent.approvals.models import Approval
from agent.approvals.service import ApprovalService
from agent.brain import Brain
from agent.experts import ConfiguredModels, ConsulExperts, Router
from agent.forgetting.service import Redactor
from agent.live.service import LiveSessions
from agent.mcp_servers import McpServers
from agent.memory.service import MemoryService
from agent.model import ModelAnswers, TurnLimits
from agent.sandbox import Limits, Sandbox
from agent.sessions.service import SessionService
from agent.snapshots.service import SnapshotService
from agent.tools import ALL_TOOLS
from agent.tools.code_runner import LONGEST_S
from agent.tools.services import ToolServices
from agent.tools.wrappers import WrapperServices, standard_toolset
from agent.transcription.service import TranscriptionService
from agent.triggers.firing import TriggerWorker
from agent.triggers.service import TriggerService
from agent.turns.render_watch import RenderWatch
from agent.turns.runner import TurnRunner
from agent.understanding import Grammar
from agent.understanding.trained import load_reader
from agent.vision import ImageDescriptionService
from agent.vision.model_describer import vision_model
from agent.voice.broadcasts import Broadcasts
from agent.voice.recordings import Recordings
from agent.voice.sessions import VoiceSessions
from agent.voice.transports.available import Transports
from agent.writing.model_author import ModelAuthor
from app.doctor.installation import HealthService
from app.doctor.watch import HealthWatch
from app.farm_choice import Farm, choose_farm, operator_client, speech_scheduler, speech_worker_binary
from app.machines_api import machines_api
from app.migrating import migrate
from app.restores import finish_before_use, note_finished
from app.server.state_folders import secure_state_folders
from app.server.video_authority import video_signer
from app.state_metrics import read_state
from app.worker_command import worker_command
from farm.scheduler import Scheduler
from policy import Policy, Principal
from policy.audit import AuditEntry, AuditLog
from policy.audit.head import KEY_FILE, HeadFile
from policy.audit.recorded_head import Origin
from policy.audit.watch import AuditWatch
from policy.owners import PrincipalOwned
from policy.principal import LOCAL, Kind
from soundstage.background import Worker
from soundstage.blobs import BlobStore, BucketAccess
from soundstage.blobs.repair import BlobRepair
from soundstage.database import Database
from soundstage.database.tenants import tenant_scope
from soundstage.events import EventStore
from soundstage.http import own_listeners
from soundstage.key_sealing import check_keys
from soundstage.sealing import Sealer
from soundstage.settings import Settings
from soundstage.telemetry import Metrics
from soundstage.tracing.export import recording
from soundstage.tracing.store import FOLDER, SpanStore
from studio.personas.live_face import LiveFaces
from studio.personas.watching import PersonaWatch
from studio.wiring import Studio, build_studio


@dataclass(frozen=True, slots=True)
class Services:
    """The services of one process. Constructing them opens no connection and starts no task."""

    settings: Settings
    database: Database
    blobs: BlobStore
    events: EventStore
    metrics: Metrics
    traces: SpanStore
    policy: Policy
    audit: AuditLog
    audit_watch: AuditWatch
    blob_repair: BlobRepair
    health: HealthService
    health_watch: HealthWatch
    decisions: ApprovalDecisions
    triggers: TriggerWorker
    farm: Farm
    scheduler: Scheduler
    studio: Studio
    watch: RenderWatch
    brain: Brain
    experts: Router
    turns: TurnRunner
    live: LiveSessions
    voice: VoiceSessions
    broadcasts: Broadcasts
    voice_transports: Transports
    transcription: TranscriptionService
    memory: MemoryService
    snapshots: SnapshotService
    tool_services: ToolServices
    speech_scheduler: Scheduler
    mcp_servers: McpServers

    @property
    def own_personas(self) -> Path:
        """Returns the folder of personas made through the API; the operator's are in `personas_dir`."""
        return self.studio.library.own


def build(settings: Settings) -> Services:
    """Constructs all services of an installation. Creates the state folders, makes them private, and writes
    the session secret; opens no connection and starts no task.
    """
    secure_state_folders(settings)
    # Keys that do not open end the start before anything is written.
    check_keys(settings.state_dir.absolute(), settings.sealing)
    database = Database(settings.database_url, busy_timeout_ms=settings.database.busy_timeout_ms)
    blobs = BlobStore.open(
        settings.blobs_url,
        quota_mib=settings.blobs.quota_mib,
        cache=settings.state_dir / "blob-cache",
        cache_mib=settings.blobs.cache_mib,
        access=BucketAccess.of_all(settings.blobs),
        signed_urls=settings.blobs.signed_urls,
    )
    events = EventStore(
        database, poll_s=settings.events.poll_ms / 1000, heartbeat_s=settings.events.heartbeat_s
    )
    farm = choose_farm(settings, database, blobs)
    scheduler = farm.scheduler
    audit = AuditLog(database, HeadFile(settings.state_dir, sealing=settings.sealing))
    audit_watch = AuditWatch(audit.verify)
    speech = speech_scheduler(settings, blobs, farm)
    studio = build_studio(
        settings,
        database,
        events,
        blobs,
        scheduler,
        audit,
        farm.times,
        worker_version=worker_version(),
        voices=speech,
        speech_worker_binary=speech_worker_binary(settings, speech),
        worker_command=worker_command(settings),
        signer=video_signer(settings),
    )
    watch = RenderWatch(studio.renders, events)
    listeners = own_listeners(settings)
    experts = Router(
        [
            ConsulExperts(settings.experts, listeners=listeners),
            ConfiguredModels(settings.llm, listeners),
        ]
    )
    policy = Policy.open(settings, database, events)
    approvals = ApprovalService(
        database, events, audit, lifetime=timedelta(hours=settings.policy.approval_hours)
    )
    wrapper_services = WrapperServices(
        database, events, policy.decider, audit, approvals, settings.policy.tool_calls_per_minute
    )
    mcp_servers = McpServers(settings.agent.mcp_servers, settings.state_dir, listeners)
    toolset = standard_toolset(ALL_TOOLS, wrapper_services, mcp_servers.tools)
    sessions = SessionService(database, events, audit)
    triggers = TriggerService(database, events, toolset)
    redactor = Redactor(sessions, approvals, triggers, events, audit)
    memory = MemoryService(database, settings.state_dir / "memory", redact=redactor.redact)
    snapshots = SnapshotService(database, sessions, studio.renders, studio.projects)
    blob_repair = BlobRepair(blobs)
    health = HealthService(
        settings, database, audit, audit_watch, studio.library, experts, mcp_servers, blob_repair
    )
    transcription = TranscriptionService(settings.transcription, listeners, scheduler, blobs, database, audit)
    limits = turn_limits(settings)
    tool_services = ToolServices(
        studio=studio,
        author=None if limits is None else ModelAuthor(experts, limits),
        out_dir=settings.out_dir,
        trash_days=settings.retention.trash_days,
        memory=memory,
        snapshots=snapshots,
        triggers=triggers,
        machines=partial(machines_api, settings),
        sandbox=Sandbox(Limits(wall_s=LONGEST_S, cpu_s=LONGEST_S)),
        image_descriptions=ImageDescriptionService(scheduler, blobs, vision_model(settings.llm, listeners)),
        cluster=partial(operator_client, settings),
        transcription=transcription,
        audit=audit,
        health=health.health,
        withdraw=approvals.withdraw,
        waiting_approvals=approvals.list_waiting,
    )
    grammar, reader = Grammar.load(), load_reader(encoder=settings.agent.encoder)
    brain = Brain(
        grammar=grammar,
        toolset=toolset,
        sessions=sessions,
        services=tool_services,
        watch=watch,
        model=None if limits is None else ModelAnswers(experts, toolset, grammar, limits),
        reader=None if reader is None else ReaderAnswers.of(reader, toolset, sessions, tool_services),
    )
    turns = TurnRunner(brain, events)
    transports = Transports(settings.voice, Sealer(settings.state_dir, settings.sealing), settings.state_dir)
    voice = VoiceSessions(
        sessions,
        turns,
        studio.library,
        studio.speech,
        partial(names_to_hear, studio, snapshots),
        transports,
        partial(present_principal, policy),
        transcription,
        LiveFaces(database, blobs, studio.speech.admission),
        Recordings(
            settings.state_dir / "voice-recordings",
            studio.library,
            studio.renders,
            blobs,
            database,
            audit,
            partial(present_principal, policy),
            settings.limits.scenes,
        ),
        watch,
        settings.http.cors_origins,
    )
    services = Services(
        settings=settings,
        database=database,
        blobs=blobs,
        events=events,
        metrics=Metrics(),
        traces=SpanStore(settings.state_dir / FOLDER, "studio"),
        policy=policy,
        audit=audit,
        audit_watch=audit_watch,
        blob_repair=blob_repair,
        health=health,
        health_watch=HealthWatch(health, database, events),
        decisions=ApprovalDecisions(
            approvals, policy.decider, toolset, tool_services, partial(find_requester, policy)
        ),
        triggers=TriggerWorker(
            triggers,
            sessions,
            toolset,
            tool_services,
            partial(find_owner, policy),
            database.leader_lock("triggers", settings.state_dir),
        ),
        farm=farm,
        scheduler=scheduler,
        studio=studio,
        watch=watch,
        brain=brain,
        experts=experts,
        turns=turns,
        live=LiveSessions(database, events, sessions, turns, studio.library, studio.speech),
        voice=voice,
        broadcasts=Broadcasts(voice, database, partial(find_owner, policy)),
        voice_transports=transports,
        transcription=transcription,
        speech_scheduler=speech,
        memory=memory,
        snapshots=snapshots,
        tool_services=tool_services,
        mcp_servers=mcp_servers,
    )
    read_state(services)
    return services


async def names_to_hear(
    studio: Studio, snapshots: SnapshotService, principal: Principal
) -> dict[str, list[str]]:
    """Returns the names that a recogniser has to know, by the slot of the grammar in which they are said."""
    with tenant_scope(principal.tenant):
        projects = [project.title for project in await studio.projects.list()]
        saved = [snapshot.name for snapshot in await snapshots.list(principal)]
    return {
        "persona": [persona.name for persona in studio.library.list()],
        "project": projects,
        "snapshot": saved,
        "other_snapshot": saved,
        "saved": saved,
    }


def turn_limits(settings: Settings) -> TurnLimits | None:
    """Returns the limits of one answer on a language model; None where none is set, and no Consul in which
    one may appear.
    """
    named = any(one.base_url is not None for one in (settings.llm.local, settings.llm.cloud))
    if settings.experts.consul_url is None and (settings.llm.prefer == "none" or not named):
        return None
    return TurnLimits(settings.agent.turn_calls, settings.agent.turn_s, settings.agent.turn_tokens)


async def find_requester(policy: Policy, row: Approval) -> Principal | None:
    """Returns the principal who requested an approval, with the rights of now."""
    kind = cast(Kind, row.requester_kind)
    stored = Principal(row.requester_id, row.requester_name, row.requester_role, kind, tenant=row.tenant)
    return await present_principal(policy, stored)


async def find_owner(policy: Policy, row: PrincipalOwned) -> Principal | None:
    """Returns the principal who set a trigger or began a broadcast, with the rights of now."""
    return await present_principal(policy, row.owner)


async def present_principal(policy: Policy, stored: Principal) -> Principal | None:
    """Returns a stored principal with the rights that its key has now; None without a key."""
    if stored.id.startswith(LOCAL):
        return stored
    async with policy.db.session() as session:
        found = await policy.keys.by_id(session, stored.id)
    return None if found is None else replace(found, tenant=stored.tenant)


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """Builds the services and opens the database; without background workers."""
    services = build(settings)
    async with run_database(services):
        yield services


async def finish_studio(services: Services, actor: str, *, accept_unproven: bool = False) -> Origin:
    """Resumes the audit log after the database came back by other means than `soundstage restore`."""
    entry = AuditEntry("backup.restored", actor, "by other means")
    log = await services.audit.resume_restored_chain(entry, accept_unproven=accept_unproven)
    if accept_unproven or not log.unproven:
        await note_finished(services.database, services.settings.state_dir.absolute())
    return log


@asynccontextmanager
async def run_database(services: Services) -> AsyncIterator[None]:
    """Migrates the database, starts the audit log and records spans; at the end flushes both and closes every
    connection.
    """
    try:
        await migrate(services.database, services.settings.state_dir)
        state = services.settings.state_dir.absolute()
        finish = partial(finish_studio, services, "soundstage")
        adopt = services.audit.adopt_restored
        await finish_before_use(services.database, finish, adopt, state, state / KEY_FILE, "audit log")
        await services.audit.start()
        with recording(services.traces):
            yield
    finally:
        await services.transcription.close()
        await services.mcp_servers.close()
        await services.policy.close()
        await services.events.close()
        services.audit.close()
        await services.database.close()


@asynccontextmanager
async def run_background_workers(
    services: Services, *, dispatch: bool = True, serving: bool = False
) -> AsyncIterator[None]:
    """Runs the scheduler, and with `dispatch` the dispatcher: this process, or another one that holds the
    dispatcher's lock, makes renders. `serving`: this process is the server, which workers of a farm call; it
    runs the other background workers too.
    """
    studio = services.studio
    workers: tuple[Worker | PersonaWatch, ...] = (
        studio.prober.worker,
        studio.uploads.worker,
        studio.trash.worker,
        studio.persona_watch,
        services.decisions.worker,
        services.triggers.worker,
        services.audit_watch.worker,
        services.blob_repair.worker,
        services.health_watch.worker,
        services.voice.recordings.worker,
    )
    if services.farm.is_local:
        await services.scheduler.start()
    elif not serving:
        # Workers of a farm call the server, so the server dispatches.
        dispatch = False
        await services.farm.check_server()
    if dispatch:
        await studio.dispatcher.start()
    if serving:
        if services.speech_scheduler is not services.scheduler:
            await services.speech_scheduler.start()
        for worker in workers:
            await worker.start()
        await services.voice.worker.start()
        await services.broadcasts.worker.start()
    try:
        yield
    finally:
        if serving:
            await services.broadcasts.close()
        await services.voice.close()
        await services.live.close()
        if services.speech_scheduler is not services.scheduler:
            await services.speech_scheduler.close()
        for worker in reversed(workers):
            await worker.close()
        await studio.close_previews()
        await studio.dispatcher.close()
        await services.scheduler.close()
