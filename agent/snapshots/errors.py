"""What can go wrong with snapshots."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from soundstage.errors import Conflict, Invalid, NotFound


def no_snapshot(name: str, there_are: Iterable[str]) -> NotFound:
    """No snapshot of that name, or somebody else's; a near miss is told and never guessed."""
    names = sorted(there_are)
    near = get_close_matches(name.casefold(), [one.casefold() for one in names], n=1, cutoff=0.6)
    meant = [one for one in names if one.casefold() in near]
    if meant:
        hint = f"Did you mean {meant[0]!r}?"
    else:
        hint = f"There are: {', '.join(names[:10])}." if names else "Say “save this as …” to make one."
    return NotFound("snapshot.not_found", f"There is no snapshot called {name!r}.", hint)


def bad_name(name: str) -> Invalid:
    return Invalid(
        "snapshot.bad_name",
        f"A snapshot cannot be called {name!r}: a name holds no slashes, and is not only dots.",
        "Choose another name.",
    )


def name_taken(name: str) -> Conflict:
    """Nothing is written over without being asked for."""
    return Conflict(
        "snapshot.exists",
        f"There is a snapshot called {name!r} already.",
        f"Say “save this over {name}”, or choose another name.",
    )


def too_many(limit: int) -> Conflict:
    """The limit of one owner."""
    return Conflict(
        "snapshot.too_many",
        f"You have {limit} snapshots, and that is the limit.",
        "Delete one that is not needed any more.",
    )


def no_conversation() -> NotFound:
    """There is nothing to save or to compare with."""
    return NotFound(
        "snapshot.no_conversation", "There is no conversation of yours yet.", "Say something first."
    )
