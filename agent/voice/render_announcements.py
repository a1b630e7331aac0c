"""Tells the person of a voice session how the videos go on that were ordered there; called by `turns`."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from agent.answering.translation import Translation
from agent.events import Progress
from agent.sessions.service import SessionService
from agent.turns.render_watch import RenderWatch
from agent.understanding.language import language_of
from agent.voice.session import Session
from soundstage.database.tenants import tenant_scope
from soundstage.errors import SoundstageError
from studio.renders.schemas import RenderView
from studio.renders.states import RenderState

HALF = 0.5
LONG_S = 20.0
"""Half is worth a sentence where the other half still takes so long."""


@dataclass
class RenderAnnouncements:
    """Says that a video is half done, where that takes long, and how it ended. The end is noted at the reply
    of the turn that ordered it, too.
    """

    watch: RenderWatch
    sessions: SessionService

    async def follow(self, session: Session, turn: tuple[str, int], utterance: str, render_id: str) -> None:
        """Follows a video to its end, once in a session; what is said is in the language of what was said."""
        if render_id in session.followed:
            return
        session.followed.add(render_id)
        words = Translation.of(language_of(utterance))
        # A video that is deleted meanwhile has nothing to tell.
        with suppress(SoundstageError), tenant_scope(session.principal.tenant):
            view = await self.watch.renders.get(render_id)
            is_half = False
            async for progress in self.watch.follow(render_id):
                if not is_half and is_worth_telling(progress):
                    is_half = True
                    await session.announce(words.text(f"Your video “{view.title}” is half done."))
            end = words.text(end_of(await self.watch.renders.get(render_id)))
            if end:
                await self.sessions.note(session.principal, *turn, end)
                await session.announce(end)


def is_worth_telling(progress: Progress) -> bool:
    """Returns whether a video is half done and the rest takes long."""
    return HALF <= progress.fraction < 1 and (progress.eta_s or 0) >= LONG_S


def end_of(view: RenderView) -> str:
    """Returns how a video ended; nothing of one that somebody cancelled."""
    if view.state is RenderState.DONE:
        return f"Your video “{view.title}” is ready."
    return f"Your video “{view.title}” failed: {view.error.message}" if view.error is not None else ""
