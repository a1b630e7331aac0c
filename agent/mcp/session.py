"""Keeps one conversation for the MCP calls of a principal: it scopes "latest" and approvals."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent.sessions.models import AgentSession
from agent.sessions.repository import SessionRepository
from agent.turns.result import update_referents
from policy import Principal
from policy.principal import DEFAULT_TENANT
from soundstage.database import Database, utcnow

TITLE = "MCP"


@dataclass(frozen=True, slots=True)
class McpSession:
    """One for each principal: clients come and go, and some hold no connection between their calls."""

    id: str
    last_render_id: str | None = None
    last_project_id: str | None = None


class McpSessions:
    """Rows beside those of the chat, in the same table, so that audit and snapshots know them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, principal: Principal) -> McpSession:
        """Returns the principal's session; creates it with the first call."""
        session_id = session_id_of(principal)
        async with self._database.session() as session:
            row = await SessionRepository(session).get(session_id)
        if row is None:
            async with self._database.transaction() as session:
                row = await SessionRepository(session).get(session_id)
                if row is None:
                    row = AgentSession(
                        id=session_id,
                        tenant=principal.tenant,
                        principal_id=principal.id,
                        title=TITLE,
                        turns=0,
                        created_at=utcnow(),
                        updated_at=utcnow(),
                    )
                    SessionRepository(session).add(row)
        return McpSession(row.id, row.last_render_id, row.last_project_id)

    async def note(self, before: McpSession, result: Mapping[str, Any]) -> None:
        """Stores the referents of "it" and "latest" for the next call."""
        about = update_referents(result, before.last_render_id, before.last_project_id)
        if about == (before.last_render_id, before.last_project_id):
            return
        async with self._database.transaction() as session:
            row = await SessionRepository(session).get(before.id)
            if row is not None:
                row.last_render_id, row.last_project_id = about
                row.updated_at = utcnow()


def session_id_of(principal: Principal) -> str:
    """Returns the id for a principal of a tenant; it also owns the tickets of their calls."""
    who = principal.id if principal.tenant == DEFAULT_TENANT else f"{principal.tenant}\n{principal.id}"
    return f"ses_mcp{hashlib.sha256(who.encode()).hexdigest()[:24]}"
