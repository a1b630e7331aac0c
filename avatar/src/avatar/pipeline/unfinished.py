"""What stopped runs of the same have finished; for whatever draws by networks."""

from __future__ import annotations

from avatar.engines.kept import Kept
from avatar.pipeline.context import Context
from avatar.spec.unfinished import list_of, unfinished_folder


def unfinished(context: Context, *, fresh: bool = False) -> Kept:
    """`fresh` neither uses nor keeps anything."""
    if fresh:
        return Kept(None)
    listed = list_of(context.cache, context.work) if context.work else None
    return Kept(unfinished_folder(context.cache), listed=listed)
