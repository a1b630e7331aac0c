"""Sentences that are not the result of a tool: help, "I did not understand"; used by the Brain."""

from __future__ import annotations

from collections.abc import Sequence

from agent.events import Failure, Notice
from agent.understanding import HelpEntry, NotUnderstood
from soundstage.errors import Invalid, SoundstageError


def help_text(entries: Sequence[HelpEntry], topic: str = "") -> str:
    """Returns what can be asked for, from the grammar itself. A topic narrows it down when anything fits."""
    fitting = [entry for entry in entries if entry.tool and _fits(entry, topic)] or [
        e for e in entries if e.tool
    ]
    lines = ["Here is what you can say:"]
    for entry in fitting:
        lines.append(f"\n{entry.purpose}")
        lines.extend(f"  • {example}" for example in entry.examples)
    return "\n".join(lines)


def not_understood(found: NotUnderstood) -> Failure:
    if found.several:
        two = Invalid(
            "agent.several_wishes", "These are several wishes in one sentence.", "Say one at a time."
        )
        return Failure(code=two.code, message=two.message, hint=two.hint)
    error = Invalid(
        "agent.not_understood",
        "I did not understand that sentence.",
        "Say “help” to see what can be asked for.",
    )
    hint = "Did you mean one of these?" if found.suggestions else error.hint
    return Failure(code=error.code, message=error.message, hint=hint, suggestions=found.suggestions)


def model_failed(error: SoundstageError) -> Notice:
    """One sentence on why the fixed sentences have to do."""
    return Notice(code=error.code, text=f"{error.message} I understand fixed sentences meanwhile.")


def _fits(entry: HelpEntry, topic: str) -> bool:
    stem = topic.lower().rstrip("s")
    return not stem or any(stem in text.lower() for text in (entry.intent, entry.purpose, *entry.examples))
