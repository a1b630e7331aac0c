"""The errors of triggers."""

from __future__ import annotations

from soundstage.errors import Conflict, Invalid, NotFound

HINT = "Say “list the triggers” to see which ones wait."


def no_trigger(reference: str) -> NotFound:
    return NotFound("trigger.not_found", f"No trigger that waits is {reference[:80]!r}.", HINT)


def several_triggers(texts: list[str]) -> Conflict:
    return Conflict(
        "trigger.several", f"{len(texts)} triggers fit: {'; '.join(texts[:5])}.", "Say which, by its number."
    )


def too_many_triggers(most: int) -> Conflict:
    return Conflict(
        "trigger.too_many", f"{most} triggers wait already.", "Cancel some first: “list the triggers”."
    )


def over_already() -> Invalid:
    return Invalid("trigger.over", "That time is over already.", "Say a time to come.")


def never_over() -> Invalid:
    return Invalid(
        "trigger.repeats",
        "What is done again and again is never over, so nothing can wait for its result.",
        "Say the second step as a plan of its own.",
    )


def deletes(tool: str) -> Invalid:
    return Invalid(
        "trigger.destructive",
        f"What {tool} would do cannot be undone, so it is not done without you.",
        "Say it again when the time has come.",
    )


def not_planned(tool: str) -> Invalid:
    return Invalid("trigger.nested", f"{tool} cannot be planned ahead.", "Say it when the time has come.")
