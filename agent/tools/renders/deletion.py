"""Plans the deletion of a video for cancel_render: what goes with it, and what stays."""

from __future__ import annotations

from agent.tools.plan import Change, Plan, change
from agent.tools.record import ToolContext
from soundstage.errors import Conflict
from studio.renders.schemas import RenderView

MIB = 1 << 20
_MOST_PUBLICATIONS = 20


async def plan_deletion(context: ToolContext, video: RenderView) -> Plan:
    """Its row and each of its files by name; refuses, as the act does, a video that is being made."""
    if not video.ended:
        raise Conflict("render.active", f"This render is {video.state}.", "Cancel it first.")
    where = f"“{video.title}” ({video.id})"
    changes = [change("Delete the video for good; it cannot be had back", where)]
    changes += [change("Delete the file", str(context.services.out_dir / name)) for name in video.out_files]
    if video.outputs:
        mib = sum(output.bytes for output in video.outputs) / MIB
        freed = f"{len(video.outputs)} files, {mib:.1f} MiB"
        changes.append(change("Free what nothing else uses, when storage is collected", freed))
    changes += await _published(context, video)
    return Plan(changes=tuple(changes))


async def _published(context: ToolContext, video: RenderView) -> list[Change]:
    """Returns the copies on YouTube, which stay: only YouTube Studio deletes them."""
    found = await context.services.publishing.page(video.id, limit=_MOST_PUBLICATIONS)
    return [
        change("It stays on YouTube, where only YouTube Studio deletes it", one.url)
        for one in found
        if one.url
    ]
