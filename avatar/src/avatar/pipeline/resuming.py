"""Resumes what stopped runs of the same work have finished; for engines that draw by networks."""

from __future__ import annotations

from avatar.engines.resume_cache import ResumeCache
from avatar.pipeline.context import Context
from avatar.spec import Notice
from avatar.spec.unfinished import list_of, resume_folder


def open_resume_cache(context: Context, *, fresh: bool = False) -> ResumeCache:
    """`fresh` neither uses nor keeps anything."""
    if fresh:
        return ResumeCache(None)
    listed = list_of(context.cache, context.work) if context.work else None
    return ResumeCache(resume_folder(context.cache), listed=listed)


def resume_cache_of_run(context: Context) -> ResumeCache:
    """One for all scenes and tries of a run, which tells its own parts from those of an earlier one;
    forgotten by `context.forget`.
    """
    if not context.resume_cache:
        context.resume_cache.append(open_resume_cache(context))
    return context.resume_cache[0]


def count_resumed_parts(context: Context) -> int:
    """Parts of an earlier run that this one has used."""
    return sum(resume_cache.found for resume_cache in context.resume_cache)


def report_resumed(context: Context, parts: int, scene: str | None = None) -> None:
    """Reports how much an earlier run had done; the result itself is the same."""
    if parts:
        message = f"Parts of the pictures that a stopped run had finished are used: {parts}."
        context.tell(Notice(code="render.resumed", message=message, scene=scene))
