"""Plans making a video, trying one again and cancelling one; for the plans of tools."""

from __future__ import annotations

from agent.tools.personas.lookup import name_of
from agent.tools.plan import Plan, change
from agent.tools.record import ToolContext
from agent.tools.renders.lines import join_words, render_of
from studio.renders.planning import refuse_cancel
from studio.renders.schemas import RenderRequest, RenderView
from studio.renders.states import RenderState


async def plan_render(context: ToolContext, render_request: RenderRequest) -> Plan:
    """Refuses what the act would: scenes without words, faces without consent, a full queue."""
    renders = context.services.renders
    estimate = await renders.plan(render_request)
    speakers = join_words([name_of(context, persona) for persona in estimate.personas])
    scenes = "1 scene" if estimate.scenes == 1 else f"{estimate.scenes} scenes"
    changes = [change(f"Make a video of {scenes} with {speakers}, {estimate.size}", f"“{estimate.title}”")]
    if render_request.script is not None:
        changes.append(change("It says", render_request.script))
    return Plan(changes=tuple(changes), seconds=estimate.seconds)


async def plan_retry(context: ToolContext, reference: str) -> Plan:
    """Refuses what has not failed; scenes that are finished are not counted."""
    video = await render_of(context, reference)
    seconds = await context.services.renders.plan_retry(video.id)
    where = f"“{video.title}” ({video.id})"
    what = f"Make the video again, its try number {video.attempt + 1}; finished scenes are used"
    return Plan(changes=(change(what, where),), seconds=seconds)


def plan_cancel(video: RenderView) -> Plan:
    """Refuses one that has ended; of one that is cancelled already there is nothing to change."""
    refuse_cancel(video.state)
    if video.state is RenderState.CANCELLED:
        return Plan(changes=(), seconds=0)
    where = f"“{video.title}” ({video.id})"
    return Plan(changes=(change("Stop making the video; finished scenes stay in the cache", where),))
