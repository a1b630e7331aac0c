"""The services that tools may call; filled by the composition root."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from agent.memory.service import MemoryService
from agent.sandbox import Sandbox
from agent.snapshots.service import SnapshotService
from agent.tools.cluster.nomad import NomadFactory
from agent.tools.machines.api import MachinesFactory
from agent.transcription.service import TranscriptionService
from agent.triggers.service import TriggerService
from agent.vision import ImageDescriptionService
from policy import Principal
from policy.audit import AuditLog
from soundstage.health import InstallationHealth
from studio.assets.service import AssetService
from studio.brands.service import BrandService
from studio.imports.service import ImportService
from studio.people.service import PeopleService
from studio.personas.library import PersonaLibrary
from studio.personas.service import PersonaService
from studio.projects.service import ProjectService
from studio.projects.versions import VersionService
from studio.publishing.accounts import AccountService
from studio.publishing.service import PublishingService
from studio.queue.service import QueueService
from studio.renders.editing import RenderEditing
from studio.renders.listing import RenderList
from studio.renders.service import RenderService
from studio.scenes.service import SceneService

if TYPE_CHECKING:
    from agent.writing.model_author import ModelAuthor


@dataclass(frozen=True, slots=True)
class ToolServices:
    renders: RenderService
    render_list: RenderList
    render_editing: RenderEditing
    queue: QueueService
    assets: AssetService
    persona_library: PersonaLibrary
    persona_service: PersonaService
    people: PeopleService
    projects: ProjectService
    versions: VersionService
    scenes: SceneService
    brands: BrandService
    imports: ImportService
    publishing: PublishingService
    accounts: AccountService
    out_dir: Path
    """Where finished videos lie under people's names."""
    trash_days: int | None
    """How long things stay in the trash; None: until somebody deletes them for good."""
    memory: MemoryService
    snapshots: SnapshotService
    triggers: TriggerService
    machines: MachinesFactory
    cluster: NomadFactory
    sandbox: Sandbox
    image_descriptions: ImageDescriptionService
    transcription: TranscriptionService
    audit: AuditLog
    health: Callable[[], Awaitable[InstallationHealth]]
    withdraw: Callable[[str, Principal], Awaitable[str]]
    """Withdraws an approval that this caller has requested where it still waits; returns its state."""
    author: ModelAuthor | None = None
    """Writes scripts; None where no language model may be asked."""
