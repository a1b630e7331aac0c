"""Finds the language of a sentence by its function words; decides in which one the agent answers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

from agent.sentences import read_folder

DEFAULT = "en"
_WORD = re.compile(r"[^\W\d_]+")
_READ_CHARS = 600


def language_of(text: str, otherwise: str = DEFAULT) -> str:
    """Returns the language with the most function words in a text; `otherwise` where none has more."""
    lower_words = [word.lower() for word in _WORD.findall(text[:_READ_CHARS])]
    counts = {
        language: sum(word in words for word in lower_words) for language, words in _function_words().items()
    }
    most = max(counts.values(), default=0)
    found = [language for language, count in counts.items() if count == most]
    return found[0] if most and len(found) == 1 else otherwise


@cache
def _function_words() -> Mapping[str, frozenset[str]]:
    """Returns the function words of each language that has replies. Words of two languages count for both."""
    replies = read_folder("replies")
    return {language: frozenset(map(str, texts["function_words"])) for language, texts in replies.items()}
