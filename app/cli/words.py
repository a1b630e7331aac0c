"""Text that came in at the prompt: as an argument, or from standard input when the argument is "-"."""

from __future__ import annotations

import sys

from soundstage.errors import Invalid


def words_of(argument: str) -> str:
    """The text; raises `text.not_utf8` for bytes that are no text, which Python hands on as surrogates."""
    try:
        words = sys.stdin.read() if argument == "-" else argument
        words.encode()
    except UnicodeError as error:
        raise Invalid(
            "text.not_utf8", "The text is not valid UTF-8.", "Convert it first, for example with iconv."
        ) from error
    return words
