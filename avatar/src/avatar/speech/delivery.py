"""Gives words the pace and pitch of a mood, sentence by sentence; used by `speak`.

Sad and serious people speak slower and lower, excited and surprised ones faster and higher (Scherer, Vocal
communication of emotion, 2003). The amounts are a third of what actors do: nobody shall sound like acting.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from avatar.spec.acting import Mood, mood_changes
from avatar.speech.markup import Script


@dataclass(frozen=True, slots=True)
class Delivery:
    """`pace` is a factor on the voice's own, `semitones` are added to its pitch."""

    pace: float = 1.0
    semitones: float = 0.0


DELIVERIES: Mapping[Mood, Delivery] = MappingProxyType(
    {
        "neutral": Delivery(),
        "warm": Delivery(0.97, 0.3),
        "serious": Delivery(0.95, -0.7),
        "excited": Delivery(1.08, 1.4),
        "sad": Delivery(0.90, -1.1),
        "surprised": Delivery(1.03, 1.7),
    }
)


def deliver(script: Script, mood: Mood) -> Script:
    """Returns the script with the pace and pitch of the mood that each word is spoken in: the scene's, or a
    mark's.
    """
    words = [token.text for token in script.tokens]
    marks = [(word, value) for word, kind, value in script.acting if kind == "mood"]
    changes = dict(mood_changes(words, mood, marks))
    if mood == "neutral" and not changes:
        return script
    number, current = 0, mood
    passages = []
    for passage in script.passages:
        tokens = []
        for token in passage.tokens:
            current = changes.get(number, current)
            delivery = DELIVERIES[current]
            tokens.append(replace(token, pace=delivery.pace, semitones=delivery.semitones))
            number += 1
        passages.append(replace(passage, tokens=tuple(tokens)))
    return replace(script, passages=tuple(passages))
