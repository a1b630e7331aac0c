"""Follows one render to its end as Progress events; used by the Brain and the progress route."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from agent.events import Progress
from soundstage.events import EventStore
from studio.renders.schemas import RenderView
from studio.renders.service import RenderService


@dataclass
class RenderWatch:
    """Sends the current state of a render. An event only triggers a re-read, so a client that reconnects gets
    all that still matters.
    """

    renders: RenderService
    events: EventStore

    async def follow(self, render_id: str) -> AsyncIterator[Progress]:
        """Yields the current state at once, then every change; ends with the terminal state."""
        # The cursor is read before the state: a change between the two comes twice and is never lost.
        cursor = await self.events.last_id()
        view = await self.renders.get(render_id)
        yield progress_of(view)
        if view.ended:
            return
        shown = progress_of(view)
        async for _ in self.events.follow(f"render:{view.id}", cursor):
            view = await self.renders.get(render_id)
            found = progress_of(view)
            if found != shown:
                shown = found
                yield found
            if view.ended:
                return


def progress_of(view: RenderView) -> Progress:
    progress = view.progress
    return Progress(
        render_id=view.id,
        state=view.state,
        stage=None if view.ended else progress.stage,
        done_frames=progress.frames_done,
        preview_url=progress.preview.url if progress.preview else None,
        total_frames=progress.frames_total or None,
        fps=progress.fps or None,
        eta_s=progress.eta_s,
        fraction=1.0 if view.state == "done" else min(max(progress.fraction, 0.0), 1.0),
        waits=view.waits,
        error=view.error.model_dump() if view.error else None,
    )
