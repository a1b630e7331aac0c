"""What stopped runs of the same have finished; for whatever draws by networks."""

from __future__ import annotations

from avatar.engines.resume_cache import ResumeCache
from avatar.pipeline.context import Context
from avatar.spec import Notice
from avatar.spec.unfinished import list_of, unfinished_folder


def unfinished(context: Context, *, fresh: bool = False) -> ResumeCache:
    """`fresh` neither uses nor keeps anything."""
    if fresh:
        return ResumeCache(None)
    listed = list_of(context.cache, context.work) if context.work else None
    return ResumeCache(unfinished_folder(context.cache), listed=listed)


def unfinished_of_run(context: Context) -> ResumeCache:
    """One for all scenes and tries of a run, which tells its own parts from those of an earlier one;
    forgotten by `context.forget`.
    """
    if not context.resume_cache:
        context.resume_cache.append(unfinished(context))
    return context.resume_cache[0]


def found_so_far(context: Context) -> int:
    """Parts of an earlier run that this one has used."""
    return sum(resume_cache.found for resume_cache in context.resume_cache)


def tell_resumed(context: Context, parts: int, scene: str | None = None) -> None:
    """How much an earlier run had done; the result itself is the same."""
    if parts:
        message = f"Parts of the pictures that a stopped run had finished are used: {parts}."
        context.tell(Notice(code="render.resumed", message=message, scene=scene))
