"""Takes forgotten words out of turns: the rows, what they told, and what the audit log has beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from agent.events import Failure, Notice, Text, TextPart
from agent.forgetting.words import Forgotten
from agent.sessions.models import AgentTurn
from policy.audit.words import FORGOTTEN
from soundstage.events import Event, EventStore

_SAID = frozenset(kind.model_fields["type"].default for kind in (Text, TextPart, Notice, Failure))
_PART = TextPart.model_fields["type"].default


def was_told(row: AgentTurn, forgotten: Forgotten) -> bool:
    """Returns whether it is a turn in which somebody asked to remember this."""
    return (row.session_id, row.number) in forgotten.told_in


def says(row: AgentTurn, forgotten: Forgotten) -> bool:
    """Returns whether a turn holds such words, or is the one in which they were told."""
    return was_told(row, forgotten) or forgotten.says([row.utterance, row.reply])


async def forget_in_turn(
    session: AsyncSession, events: EventStore, stream: str, row: AgentTurn, forgotten: Forgotten
) -> None:
    """Takes them out of a turn. Of one in which they were told, in whatever words, all that was said goes."""
    told = was_told(row, forgotten)
    parts = told or forgotten.says(row.reply)
    row.utterance = FORGOTTEN if told else forgotten.without(row.utterance)
    row.reply = FORGOTTEN if told and row.reply else forgotten.without(row.reply)

    def change(event: Event) -> Mapping[str, Any]:
        data = dict(event.data)
        if event.kind == _PART and parts:
            # The words may be spread over several of them.
            data["text"] = ""
        elif event.kind in _SAID and told:
            data |= {name: FORGOTTEN for name in ("text", "message") if name in data}
        changed: Mapping[str, Any] = forgotten.without(data)
        return changed

    await events.rewrite(session, [stream], change)
