"""Writes down what happens to a project as an event and, where somebody copies it, takes it away or brings it
back, in the audit log; always in the transaction of the change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from policy.audit import AuditEntry, AuditLog
from soundstage.database import utcnow
from soundstage.database.tenants import tenant_attribute
from soundstage.events import EventStore
from studio.projects.models import Project


def stream_of(project_id: str) -> str:
    """Returns the event stream of one project."""
    return f"project:{project_id}"


@dataclass(frozen=True, slots=True)
class ProjectJournal:
    """Event kinds: project.created, project.changed, project.trashed, project.restored, project.deleted; the
    first two name the revision.
    """

    events: EventStore
    audit: AuditLog

    async def record_creation(self, session: AsyncSession, project: Project) -> None:
        """Tells other pages of a new project."""
        await self._append(session, project, "project.created", {"revision": project.revision})

    async def record_copy(self, session: AsyncSession, copy: Project, original: Project, by: str) -> None:
        """Tells other pages of a copy, and the audit log who made it of which project."""
        await self.record_creation(session, copy)
        data = {"title": copy.title, "copy_of": original.id}
        await self.audit.record(
            session, AuditEntry("project.copied", by, copy.id, tenant=copy.tenant, data=data)
        )

    async def record_change(self, session: AsyncSession, project: Project) -> None:
        """Counts a change of the project or its scenes, and tells other pages of it."""
        project.revision += 1
        project.updated_at = utcnow()
        await self._append(session, project, "project.changed", {"revision": project.revision})

    async def record_fate(self, session: AsyncSession, project: Project, kind: str, by: str) -> None:
        """Records what became of the whole project, and who did it, also in the audit log."""
        await self._append(session, project, kind, {"by": by})
        line = AuditEntry(kind, by, project.id, tenant=project.tenant, data={"title": project.title})
        await self.audit.record(session, line)

    async def _append(self, session: AsyncSession, project: Project, kind: str, more: dict[str, Any]) -> None:
        facts = {"id": project.id, "slug": project.slug, "title": project.title, **more}
        attributed = {**facts, **tenant_attribute(project.tenant)}
        await self.events.append(session, stream_of(project.id), kind, attributed)
