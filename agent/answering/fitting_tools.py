"""Says which tools may fit a sentence, by the reader; for the requests to a language model."""

from __future__ import annotations

from collections.abc import Sequence

from agent.understanding.reader import Candidate, Reader
from agent.understanding.world import World

NEEDED_FROM = 0.05
"""A candidate with less sureness changes nothing about the tools that a conversation has."""


def fitting_tools(
    reader: Reader, utterance: str, world: World, candidates: Sequence[Candidate]
) -> tuple[str, ...]:
    """Returns names of tools, the best first: those of the candidates, then by the probability of their
    intents in the whole sentence or one of its clauses.
    """
    texts = dict.fromkeys([utterance, *reader.divide(utterance, world)])
    fit = {
        intent: max(reader.probability(intent, text, world) for text in texts)
        for intent in reader.classifier.labels
        if not intent.startswith(("act.", "plan."))
    }
    ranked = sorted(fit, key=lambda one: -fit[one])
    read = [candidate.intent for candidate in candidates if candidate.tool is not None]
    return tuple(dict.fromkeys(intent.partition(".")[0] for intent in [*read, *ranked]))


def minimum_tools(candidates: Sequence[Candidate]) -> tuple[str, ...]:
    """Returns the tools without which a model could not do what the candidates say."""
    return tuple(dict.fromkeys(one.tool for one in candidates if one.tool and one.sureness >= NEEDED_FROM))
