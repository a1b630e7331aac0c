"""Finds the language of a script that names none, so that it is read by a voice of that language."""

from __future__ import annotations

from functools import cache

import py3langid

from studio.personas.schemas import Persona

SPOKEN = (
    *("cs", "da", "de", "en", "es", "fi", "fr", "hu", "it"),
    *("nl", "no", "pl", "pt", "ro", "ru", "sv", "tr", "uk"),
)
"""Languages that are told apart, of those that the built-in voices have."""
BUILT_IN = frozenset({"espeak", "flite"})
"""Kinds of voices that read any language; the others are of one, or know it themselves."""
LEAST_MARGIN = 10.0
LEAST_MARGIN_OF_A_WORD = 20.0
"""So many times the natural logarithm of the persona's own language the other one has to be more probable: of
titles such as “San Francisco” and “La La Land” it is 2 to 8, of a German sentence 20 and more.
"""
_READ_CHARS = 2000


def language_of_script(script: str, persona: Persona) -> str:
    """Returns the language of a script (BCP 47), that of the persona's style unless the script is surely in
    another one and the persona's voice reads all.
    """
    own = persona.style.language
    main = own.lower().replace("_", "-").partition("-")[0]
    text = " ".join(script.split())[:_READ_CHARS]
    if persona.voice.kind not in BUILT_IN or main not in SPOKEN or not text:
        return own
    scores = dict(_ranks(text))
    best = max(scores, key=scores.__getitem__)
    least = LEAST_MARGIN if " " in text else LEAST_MARGIN_OF_A_WORD
    return own if scores[best] - scores[main] < least else best


@cache
def _languages() -> None:
    """Reads the model, once in a process (0.8 s)."""
    py3langid.set_languages(list(SPOKEN))


def _ranks(text: str) -> list[tuple[str, float]]:
    """Returns log-probabilities of the languages, up to a constant."""
    _languages()
    return [(str(language), float(score)) for language, score in py3langid.rank(text)]
