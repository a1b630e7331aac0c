"""The studio's services, built once by the composition root and reached by routes through
`app.state.studio`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, cast

from fastapi import Depends
from fastapi.requests import HTTPConnection

from farm.history import RunTimes
from farm.scheduler import Scheduler
from policy.audit import AuditLog
from soundstage.blobs import BlobStore
from soundstage.database import Database
from soundstage.events import EventStore
from soundstage.http import own_listeners
from soundstage.settings import Settings
from studio.assets.probing import AssetProber
from studio.assets.service import AssetService
from studio.brands.service import BrandService
from studio.brands.usage import BrandUsage
from studio.changes.service import ChangeService
from studio.consents.service import ConsentService
from studio.first_run.service import FirstRunService
from studio.idempotency.service import IdempotencyService
from studio.imports.service import MAX_DOCUMENT_BYTES, ImportService
from studio.outgoing import Outgoing, build_outgoing, download_destinations
from studio.people.service import PeopleService
from studio.personas.health import PersonaHealthService
from studio.personas.library import PersonaLibrary
from studio.personas.pictures import PersonaPictures
from studio.personas.portrait_previews import CLIPS, PortraitPreviews
from studio.personas.service import PersonaService
from studio.personas.shared_files import SharedPersonaFiles
from studio.personas.speaking import PersonaSpeech
from studio.personas.validation import PersonaValidation
from studio.personas.watching import PersonaWatch
from studio.projects.journal import ProjectJournal
from studio.projects.service import ProjectService
from studio.projects.versions import VersionService
from studio.pronunciations.service import PronunciationService
from studio.queue.service import QueueService
from studio.renders.admission import Admission, Endpoint
from studio.renders.dispatcher import Dispatcher, DispatcherOptions
from studio.renders.editing import RenderEditing
from studio.renders.listing import RenderList
from studio.renders.making import MakingOptions
from studio.renders.service import RenderService
from studio.renders.signing import VideoSigner
from studio.renditions.service import Renditions
from studio.retention.service import RetentionRules, RetentionService
from studio.scene_previews.making import ScenePreviews
from studio.scene_previews.speech import SPEECH, SceneSpeech
from studio.scene_previews.stills import STILLS, SceneStills
from studio.scenes.service import SceneService
from studio.share_links.service import ShareLinkService
from studio.thumbnails.service import Thumbnails
from studio.trash.service import TrashService
from studio.uploads.service import UploadService
from studio.voices.files import VoiceFiles
from studio.voices.samples import SampleCheck
from studio.voices.service import VoiceService
from studio.voices.trials import VoiceTrials
from studio.worker_jobs.fetching import FileFetcher
from studio.worker_jobs.service import WorkerJobService


@dataclass(frozen=True, slots=True)
class Studio:
    """Start and close `dispatcher`, `prober.worker`, `uploads.worker`, `trash.worker` and `persona_watch`
    with the process, and call `close_previews`; the services need no start.
    """

    projects: ProjectService
    versions: VersionService
    scenes: SceneService
    changes: ChangeService
    brands: BrandService
    brand_usage: BrandUsage
    imports: ImportService
    assets: AssetService
    uploads: UploadService
    prober: AssetProber
    renders: RenderService
    render_list: RenderList
    render_editing: RenderEditing
    share_links: ShareLinkService
    queue: QueueService
    trash: TrashService
    thumbnails: Thumbnails
    renditions: Renditions
    idempotency: IdempotencyService
    outgoing: Outgoing
    personas: PersonaService
    portrait_previews: PortraitPreviews
    persona_health: PersonaHealthService
    persona_validation: PersonaValidation
    persona_watch: PersonaWatch
    persona_files: SharedPersonaFiles
    persona_pictures: PersonaPictures
    stills: SceneStills
    scene_speech: SceneSpeech
    speech: PersonaSpeech
    consents: ConsentService
    voices: VoiceService
    voice_trials: VoiceTrials
    voice_files: VoiceFiles
    pronunciations: PronunciationService
    first_run: FirstRunService
    people: PeopleService
    retention: RetentionService
    library: PersonaLibrary
    events: EventStore
    dispatcher: Dispatcher
    worker_jobs: WorkerJobService

    async def close_previews(self) -> None:
        """Ends what is being made for those who look, and not for films."""
        await self.persona_pictures.close()
        await self.portrait_previews.previews.close()
        await self.stills.previews.close()
        await self.scene_speech.previews.close()
        await self.renditions.close()


def persona_library(settings: Settings) -> PersonaLibrary:
    """Returns the personas of the checkout and of the state folder; makes no folder."""
    return PersonaLibrary(settings.personas_folder, settings.state_dir.absolute() / "personas")


def build_studio(
    settings: Settings,
    db: Database,
    events: EventStore,
    blobs: BlobStore,
    scheduler: Scheduler,
    audit: AuditLog,
    times: RunTimes | None = None,
    *,
    worker_version: str,
    voices: Scheduler | None = None,
    speech_worker_binary: str | None = None,
    worker_command: tuple[str, ...] = ("avatar",),
    signer: VideoSigner | None = None,
) -> Studio:
    """`worker_version` is that of `avatar.version`: another worker draws other frames, so it keys the
    segments. `voices` is the scheduler of
    speech; it runs `speech_worker_binary` on this machine, or workers of the farm where that is None.
    `worker_command` takes in voice files. Without a `signer` videos carry no Content Credentials.
    """
    out_dir = settings.out_dir.absolute()
    library = persona_library(settings)
    files = SharedPersonaFiles(db, library.user_folder)
    consents = ConsentService(db)
    services, listeners = _speech_services(settings), own_listeners(settings)
    admission = Admission(consents, library, settings.limits, services, listeners)
    making = MakingOptions(out_dir, worker_version, float(settings.worker.timeout_s), signer)
    dispatcher = Dispatcher(
        db, events, blobs, scheduler, DispatcherOptions(settings.state_dir.absolute(), making), audit, times
    )
    thumbnails = Thumbnails(db, blobs)
    renditions = Renditions(db, blobs, scheduler, thumbnails)
    renders = RenderService(
        db,
        events,
        blobs,
        library,
        admission,
        out_dir=out_dir,
        discard_renditions=renditions.discard,
        wake=dispatcher.wake,
        dispatcher_running=dispatcher.has_leader,
        discard_unfinished=scheduler.discard_unfinished,
        audit=audit,
        run_durations=times,
        worker_version=worker_version,
    )
    journal = ProjectJournal(events, audit)
    projects = ProjectService(db, blobs, journal)
    speech = PersonaSpeech(db, blobs, admission, voices or scheduler, speech_worker_binary)
    prober = AssetProber(db, scheduler, settings.state_dir.absolute())
    assets = AssetService(
        db,
        blobs,
        upload_mib=settings.limits.upload_mib,
        added=prober.worker.wake,
        discard_renditions=renditions.discard,
    )
    pictures = PersonaPictures(
        db, blobs, library, admission, thumbnails, voices or scheduler, speech_worker_binary
    )
    fetcher = FileFetcher(assets, download_destinations(settings), settings.downloads.timeout_s)
    personas = PersonaService(db, blobs, library, consents, admission, scheduler, files)
    cloned = VoiceService(db, blobs, admission, SampleCheck(blobs, scheduler), _speech_models(settings))
    return Studio(
        projects=projects,
        versions=VersionService(db, journal),
        scenes=SceneService(db, blobs, journal),
        changes=ChangeService(db, blobs, journal),
        brands=BrandService(db, blobs, events, audit),
        brand_usage=BrandUsage(db, library),
        imports=ImportService(
            db,
            blobs,
            library,
            download_destinations(settings),
            settings.state_dir.absolute() / "imports",
            settings.limits.scenes,
            min(MAX_DOCUMENT_BYTES, assets.max_upload_bytes),
            prober.worker.wake,
            journal,
            audit,
        ),
        assets=assets,
        uploads=UploadService(db, blobs, assets, settings.state_dir.absolute()),
        prober=prober,
        renders=renders,
        render_list=RenderList(db),
        render_editing=RenderEditing(db, events, audit, dispatcher.wake),
        share_links=ShareLinkService(db, blobs, audit),
        queue=QueueService(db, renders, dispatcher.has_leader),
        trash=TrashService(
            db,
            projects,
            renders,
            settings.retention.trash_days,
            db.leader_lock("trash", settings.state_dir.absolute()),
        ),
        thumbnails=thumbnails,
        renditions=renditions,
        idempotency=IdempotencyService(db, timedelta(hours=settings.limits.idempotency_hours)),
        outgoing=build_outgoing(settings, db, events, blobs),
        personas=personas,
        portrait_previews=PortraitPreviews(
            personas, admission, ScenePreviews(CLIPS, db, blobs, scheduler, speech_worker_binary)
        ),
        persona_health=PersonaHealthService(db, blobs, library, consents, admission, speech),
        persona_validation=PersonaValidation(),
        persona_watch=PersonaWatch(library, db, events, files),
        persona_files=files,
        persona_pictures=pictures,
        stills=SceneStills(
            renders, ScenePreviews(STILLS, db, blobs, voices or scheduler, speech_worker_binary)
        ),
        scene_speech=SceneSpeech(
            renders, ScenePreviews(SPEECH, db, blobs, voices or scheduler, speech_worker_binary)
        ),
        speech=speech,
        consents=consents,
        voices=cloned,
        voice_trials=VoiceTrials(speech, personas),
        voice_files=VoiceFiles(
            worker_command,
            settings.worker.models_folder,
            settings.state_dir.absolute() / "voice-files",
            settings.limits.upload_mib << 20,
        ),
        pronunciations=PronunciationService(db),
        first_run=FirstRunService(db, library, audit),
        people=PeopleService(
            db,
            blobs,
            library,
            renders,
            cloned,
            renditions,
            pictures,
            out_dir,
            worker_cache(settings),
            files,
            events,
            audit,
        ),
        retention=RetentionService(db, blobs, retention_rules(settings), out_dir, events),
        library=library,
        events=events,
        dispatcher=dispatcher,
        worker_jobs=WorkerJobService(assets, renders, consents, library, fetcher),
    )


def worker_cache(settings: Settings) -> Path:
    """Returns the folder in which the worker caches measurements."""
    return settings.state_dir.absolute() / "cache"


def retention_rules(settings: Settings) -> RetentionRules:
    return RetentionRules(
        render_days=settings.retention.render_days,
        event_days=settings.retention.event_days,
        unused_blob_hours=settings.retention.unused_blob_hours,
        segment_mib=settings.worker.cache_mib,
        quota_mib=settings.blobs.quota_mib,
    )


def _speech_services(settings: Settings) -> frozenset[Endpoint]:
    """Returns the endpoints of speech services of the settings, with the variable of each key."""
    named = (("openai", settings.services.tts_openai), ("qwen", settings.services.tts_qwen))
    return frozenset(
        (kind, str(service.base_url).rstrip("/"), None)
        for kind, service in named
        if service.base_url is not None
    )


def _speech_models(settings: Settings) -> dict[str, str]:
    """By base URL, where the operator names the model."""
    named = (settings.services.tts_openai, settings.services.tts_qwen)
    return {
        str(one.base_url).rstrip("/"): one.model for one in named if one.base_url is not None and one.model
    }


def studio_of(connection: HTTPConnection) -> Studio:
    """The services of the application behind a request."""
    return cast(Studio, connection.app.state.studio)


StudioDep = Annotated[Studio, Depends(studio_of)]
