"""Answers “help”: an overview, or all that can be said on one subject."""

from __future__ import annotations

from collections.abc import Sequence

from agent.answering.replies import Replies
from agent.understanding import HelpEntry


def help_text(entries: Sequence[HelpEntry], topic: str, replies: Replies) -> str:
    """Returns the overview, or the purposes and examples of the grammar that fit a topic.

    The overview is also the answer to a topic that nothing fits. “Everything” fits all.
    """
    tools = [entry for entry in entries if entry.tool]
    stem = replies.help_subject(topic)
    fitting = (
        tools
        if stem == "everything"
        else [entry for entry in tools if _fits(stem, entry.intent, entry.purpose)]
        or [entry for entry in tools if _fits(stem, *entry.examples)]
    )
    if not stem or not fitting:
        return replies.text("help", "overview")
    lines = [replies.text("help", "subject")]
    for entry in fitting:
        lines.append(f"\n{entry.purpose}")
        lines.extend(f"  • {example}" for example in entry.examples)
    return "\n".join(lines)


def _fits(stem: str, *texts: str) -> bool:
    return any(stem in text.lower() for text in texts)
