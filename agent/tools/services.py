"""The services that tools may call; filled by the composition root."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
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

if TYPE_CHECKING:
    from agent.approvals.schemas import ApprovalOut
    from agent.writing.model_author import ModelAuthor
    from studio.wiring import Studio


@dataclass(frozen=True, slots=True)
class ToolServices:
    studio: Studio
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
    waiting_approvals: Callable[[Principal], Awaitable[Sequence[ApprovalOut]]]
    """Returns the approvals of this caller's tenant that are not decided yet, the newest first."""
    author: ModelAuthor | None = None
    """Writes scripts; None where no language model may be asked."""
