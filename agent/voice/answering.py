"""The port through which a pipeline has utterances answered."""

from __future__ import annotations

from typing import Protocol

from agent.events import Emit


class Answering(Protocol):
    """Answers one utterance after the other, in one session."""

    @property
    def session_id(self) -> str | None:
        """Returns the session, once there is one."""

    async def answer(self, utterance: str, present: Emit) -> None:
        """Emits the events of the answer. Raises SoundstageError; cancelling it ends the answer."""
