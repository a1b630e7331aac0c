"""Finds the moments of overlays, sounds and cuts: words of the script as they are spoken."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Callable, Sequence

from avatar.errors import InvalidInput
from avatar.spec import Anchor, Notice, Overlay, TimeAnchor
from avatar.tracks import Word

Warn = Callable[[Notice], None]
MAX_CLOSE_WORDS = 3


def span_ms(
    overlay: Overlay, words: Sequence[Word], duration_ms: int, scene: str, warn: Warn | None = None
) -> tuple[int, int]:
    """Returns begin and end of an overlay in milliseconds of the scene; both are 0 where its first word is
    not in the script any more, and it ends with the scene where its last one is not. `warn` hears of it.
    """
    start = moment_ms(overlay.start, words, scene, warn)
    if start is None:
        return 0, 0
    end = duration_ms if overlay.end is None else moment_ms(overlay.end, words, scene, warn)
    return start, duration_ms if end is None else min(end, duration_ms)


def moment_ms(anchor: Anchor, words: Sequence[Word], scene: str, warn: Warn | None = None) -> int | None:
    """As `anchor_ms`; None with a warning for a word that is not there."""
    try:
        return anchor_ms(anchor, words, scene)
    except InvalidInput as error:
        if warn is not None:
            warn(Notice(code=error.code, message=f"{error.message} {error.hint}", scene=scene))
        return None


def anchor_ms(anchor: Anchor, words: Sequence[Word], scene: str) -> int:
    """Milliseconds from the start of the scene. A word anchor may name several words in a row.

    Raises `InvalidInput` (`overlay.word_not_found`) and names the closest words of the script.
    """
    if isinstance(anchor, TimeAnchor):
        return anchor.ms
    anchor_keys = [key for key in map(_key, anchor.word.split()) if key]
    spoken = [_key(word.text) for word in words]
    found = [
        i
        for i in range(len(spoken) - len(anchor_keys) + 1)
        if anchor_keys and spoken[i : i + len(anchor_keys)] == anchor_keys
    ]
    if len(found) < anchor.occurrence:
        raise _not_found(anchor.word, anchor.occurrence, len(found), words, scene)
    first = found[anchor.occurrence - 1]
    if anchor.edge == "start":
        return max(0, words[first].start_ms + anchor.offset_ms)
    return max(0, words[first + len(anchor_keys) - 1].end_ms + anchor.offset_ms)


def _key(word: str) -> str:
    """Returns a word as it is compared: without case, accents' spelling or marks around them."""
    folded = unicodedata.normalize("NFKC", word).casefold()
    return "".join(char for char in folded if unicodedata.category(char)[0] in "LNMS")


def _not_found(word: str, occurrence: int, times: int, words: Sequence[Word], scene: str) -> InvalidInput:
    if times:
        message = (
            f"An overlay of scene {scene} waits for “{word}” number {occurrence}; it is said {times} times."
        )
        return InvalidInput("overlay.word_not_found", message, f"Use an occurrence from 1 to {times}.")
    known = {_key(spoken.text): spoken.text for spoken in words}
    close = difflib.get_close_matches(_key(word), list(known), n=MAX_CLOSE_WORDS, cutoff=0.6)
    hint = (
        f"Close to it: {', '.join(known[key] for key in close)}."
        if close
        else "Use a word of the script, or a time."
    )
    return InvalidInput(
        "overlay.word_not_found",
        f"An overlay of scene {scene} waits for “{word}”, which is never said.",
        hint,
    )
