"""Words from the prompt: text, as an argument or from standard input, and names that become part of a URL."""

from __future__ import annotations

import sys
from urllib.parse import quote

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


def segment(text: str) -> str:
    """Return `text` as one segment of a path; raise Invalid for what would name another path."""
    if not text or text in (".", ".."):
        raise Invalid("arguments.invalid", f"{text!r} is no id and no name.", "See the list.")
    return quote(text, safe="")
