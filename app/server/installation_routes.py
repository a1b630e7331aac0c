"""The installation as a whole, for its administrators: a backup of it, and how its database stands.

`soundstage backup` and `soundstage doctor` ask here, so that beside a running server nobody else
opens its store.
"""

# No `from __future__ import annotations`: FastAPI reads the permissions from the annotations at run time.
import asyncio
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field
from starlette.types import Receive, Scope, Send

from app.archive import BackupWorkspace, Claim, Contents, MachineState, gather, machine_secrets
from app.archive.manifest import PROVISIONING, SEALED_MACHINE_SECRETS, SEALED_SECRETS
from app.archive.secrets import look_at_secrets
from app.doctor.installation import HealthService
from app.migrating import current_revision
from policy import Principal, require_permission
from policy.audit import AuditEntry, AuditLog
from soundstage.blobs import BlobStore
from soundstage.database import Database
from soundstage.errors import Forbidden
from soundstage.health import InstallationHealth
from soundstage.sealing import Sealer
from soundstage.settings import Settings

CreateBackups = Annotated[Principal, Depends(require_permission("backup:create"))]
ReadSystem = Annotated[Principal, Depends(require_permission("system:read"))]


class DatabaseState(BaseModel):
    revision: str | None = Field(description="of the tables; None before they are made")


def installation_router(
    settings: Settings,
    database: Database,
    blobs: BlobStore,
    own_personas: Path,
    audit: AuditLog,
    health: HealthService,
) -> APIRouter:
    """`/api/backup`, `/api/database` and `/api/health/installation`."""
    router = APIRouter(prefix="/api", tags=["installation"])
    machines = MachineState.of(settings)
    workspace = BackupWorkspace(settings.state_dir)

    @router.get("/database")
    async def read_database(_: ReadSystem) -> DatabaseState:
        """Return the revision of the database that this server works on."""
        return DatabaseState(revision=await current_revision(database))

    @router.get("/health/installation")
    async def read_health(_: ReadSystem) -> InstallationHealth:
        """Return one sentence on the whole installation, and its checks, the worst first."""
        return await health.health()

    @router.post("/backup", response_class=StreamingResponse)
    async def make_backup(principal: CreateBackups) -> StreamingResponse:
        """A tar file with the databases, all files and personas, of all tenants and people; no private keys.
        For administrators of the installation only; one at a time.
        """
        if not principal.is_operator:
            raise Forbidden(
                "backup.admins_only",
                "A backup holds what all people of all tenants have kept here.",
                "Use a key with the role admin of the first tenant.",
            )
        claim = workspace.claim()
        try:
            contents = await gather(database, blobs, own_personas, claim.folder, machines.database)
            secrets = await look_at_secrets(
                database, Sealer(settings.state_dir.absolute(), settings.sealing).unseal
            )
            has_machines = await asyncio.to_thread((claim.folder / PROVISIONING).exists)
            of_machines = (await machine_secrets(settings)).sealed if has_machines else 0
            await audit.record_now(AuditEntry("backup.made", principal.name))
        except BaseException:
            claim.release()
            raise
        headers = {
            SEALED_SECRETS: str(secrets.sealed),
            SEALED_MACHINE_SECRETS: str(of_machines),
            "Content-Disposition": 'attachment; filename="soundstage.tar"',
        }
        return _ArchiveResponse(contents, claim, headers)

    return router


class _ArchiveResponse(StreamingResponse):
    """Removes the copies at its end, also when the client disconnected before its first byte."""

    def __init__(self, contents: Contents, claim: Claim, headers: dict[str, str]) -> None:
        super().__init__(contents.chunks(), media_type="application/x-tar", headers=headers)
        self._claim = claim

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._claim.release()
