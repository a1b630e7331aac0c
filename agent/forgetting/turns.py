"""Redacts forgotten texts in turns: the rows and their events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from agent.events import Failure, Notice, Text, TextPart
from agent.forgetting.redaction import Redaction
from agent.sessions.models import AgentTurn
from policy.audit.redactable import FORGOTTEN
from soundstage.events import Event, EventStore

_TEXT_KINDS = frozenset(kind.model_fields["type"].default for kind in (Text, TextPart, Notice, Failure))
_PART_KIND = TextPart.model_fields["type"].default


def is_source(row: AgentTurn, redaction: Redaction) -> bool:
    """Returns whether the turn asked for a memory that is forgotten now."""
    return (row.session_id, row.number) in redaction.source_turns


def matches(row: AgentTurn, redaction: Redaction) -> bool:
    """Returns whether a turn has such a text, or is a source of it."""
    return is_source(row, redaction) or redaction.matches([row.utterance, row.reply])


async def redact_turn(
    session: AsyncSession, events: EventStore, stream: str, row: AgentTurn, redaction: Redaction
) -> None:
    """Redacts a turn. Of a source all text goes, because its wording may differ."""
    source = is_source(row, redaction)
    parts = source or redaction.matches(row.reply)
    row.utterance = FORGOTTEN if source else redaction.redact(row.utterance)
    row.reply = FORGOTTEN if source and row.reply else redaction.redact(row.reply)

    def change(event: Event) -> Mapping[str, Any]:
        data = dict(event.data)
        if event.kind == _PART_KIND and parts:
            # The text may be spread over several of them.
            data["text"] = ""
        elif event.kind in _TEXT_KINDS and source:
            data |= {name: FORGOTTEN for name in ("text", "message") if name in data}
        return redaction.redact(data)

    await events.rewrite(session, [stream], change)
