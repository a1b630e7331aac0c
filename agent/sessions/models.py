"""Tables of the agent: sessions and their turns."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from policy.principal import DEFAULT_TENANT
from soundstage.database import Base, UtcDateTime


class AgentSession(Base):
    """One conversation of one principal of a tenant, over any transport; held with a persona where one is
    named.
    """

    __tablename__ = "agent_sessions"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    tenant: Mapped[str] = mapped_column(String(80), default=DEFAULT_TENANT, server_default=DEFAULT_TENANT)
    principal_id: Mapped[str] = mapped_column(String(80), index=True)
    persona_id: Mapped[str | None] = mapped_column(String(80), default=None)
    title: Mapped[str] = mapped_column(String(120))
    turns: Mapped[int] = mapped_column(default=0)
    last_render_id: Mapped[str | None] = mapped_column(String(40))
    last_project_id: Mapped[str | None] = mapped_column(String(40))
    dialogue: Mapped[str | None] = mapped_column(Text)
    """The state of the dialogue as JSON; see `agent.answering.state`."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class AgentTurn(Base):
    """One utterance and its answer. `number` counts from 1 within the session.

    The answering process renews the lease `alive_until`; an open turn beyond it was lost with its process.
    """

    __tablename__ = "agent_turns"

    session_id: Mapped[str] = mapped_column(
        ForeignKey("agent_sessions.id", ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[int] = mapped_column(primary_key=True)
    utterance: Mapped[str] = mapped_column(Text)
    tool: Mapped[str | None] = mapped_column(String(64))
    reply: Mapped[str] = mapped_column(Text, default="")
    error_code: Mapped[str | None] = mapped_column(String(64))
    trace_id: Mapped[str | None] = mapped_column(String(64))
    request_id: Mapped[str | None] = mapped_column(String(80), index=True)
    alive_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
