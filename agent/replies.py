"""Sentences that are not the result of a tool: help and "I did not understand"; used by the Brain."""

from __future__ import annotations

from collections.abc import Sequence

from agent.events import Failure
from agent.understanding import HelpEntry, NotUnderstood


def help_text(entries: Sequence[HelpEntry], topic: str = "") -> str:
    """What can be asked for, from the grammar itself. A topic narrows it down when anything fits."""
    fitting = [entry for entry in entries if entry.tool and _fits(entry, topic)] or [
        e for e in entries if e.tool
    ]
    lines = ["Here is what you can say:"]
    for entry in fitting:
        lines.append(f"\n{entry.purpose}")
        lines.extend(f"  • {example}" for example in entry.examples)
    return "\n".join(lines)


def not_understood(found: NotUnderstood) -> Failure:
    hint = "Did you mean one of these?" if found.suggestions else "Say “help” to see what can be asked for."
    return Failure(
        code="agent.not_understood",
        message="I did not understand that sentence.",
        hint=hint,
        suggestions=found.suggestions,
    )


def _fits(entry: HelpEntry, topic: str) -> bool:
    stem = topic.lower().rstrip("s")
    return not stem or any(stem in text.lower() for text in (entry.intent, entry.purpose, *entry.examples))
