"""Cuts what must stay word for word (scripts, quoted names, paths) out of a sentence; called by the Grammar.

A sentence matcher folds case, drops punctuation and joins spaces. A script must come through untouched, and
nothing inside it may be taken for a command. So the script is lifted out first, and a single placeholder goes
to the matcher.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

SCRIPT_MARK = "\uf8ff"
"""Stands for the script in the text that is matched."""
_FIRST_LITERAL = 0xE000
_LAST_LITERAL = 0xE0FF
_PRIVATE_USE = re.compile("[\ue000-\uf8ff]")

HEAD_CHARS = 1000
"""A command is found in the first characters of an utterance or not at all."""
MAX_CUTS = 24

_CUE = re.compile(
    r"(?:\b(?:says?|saying|speaks|reads?|reading|tells us|announc(?:es?|ing)|script|text|words)\b)?"
    r"(?P<stop>\s*[:：]\s*|\s*,?\s+(?=[\"“„«])|\s+)",
    re.IGNORECASE,
)
_CLOSING = {'"': '"', "“": "”", "„": "“", "«": "»"}
_QUOTED = re.compile(r'"([^"\n]{1,300})"|“([^”\n]{1,300})”|„([^“\n]{1,300})“|«([^»\n]{1,300})»')
_PATH = re.compile(
    r"(?<!\S)(?:https?://\S*[^\s.,;:!?)]|[~.]{0,2}/\S+"
    r"|\S+\.(?:jpe?g|png|heic|heif|webp|gif|bmp|tiff?|pptx|docx|md|markdown|html?)\b|[a-z]+_[0-9A-Za-z]{6,})"
)


@dataclass(frozen=True, slots=True)
class Cut:
    """One way to read an utterance: `before` + script + `after`."""

    before: str
    script: str
    after: str = ""


def script_cuts(utterance: str) -> Iterator[Cut]:
    """Every place where a script may begin, the earliest first, so that a script never hides a command.

    A script in quotes ends at the closing quote and may be followed by options ("in 720p"); any other script
    runs to the end, verbatim.
    """
    count = 0
    for match in _CUE.finditer(utterance, 0, HEAD_CHARS):
        start = match.end()
        if not _opens_script(match, utterance) or _inside_quotes(utterance, match.start("stop")):
            continue
        before, rest = utterance[: match.start("stop")], utterance[start:]
        if not rest.strip():
            continue
        quoted = _whole_quote(rest)
        if quoted is not None:
            yield Cut(before, *quoted)
        yield Cut(before, rest)
        count += 1
        if count >= MAX_CUTS:
            return


def _opens_script(match: re.Match[str], utterance: str) -> bool:
    """A colon, an opening quote, or a word of saying before a space."""
    stop = match.group("stop")
    if ":" in stop or "：" in stop:
        return True
    if match.end() < len(utterance) and utterance[match.end()] in _CLOSING:
        return True
    return bool(match.group(0)[: -len(stop)].strip())


def _inside_quotes(utterance: str, position: int) -> bool:
    before = utterance[:position]
    if before.count('"') % 2:
        return True
    return any(before.count(left) > before.count(right) for left, right in (("“", "”"), ("«", "»")))


def _whole_quote(rest: str) -> tuple[str, str] | None:
    """(text between the quotes, text after them) when `rest` begins with a quote that is closed again."""
    closing = _CLOSING.get(rest[:1])
    if closing is None:
        return None
    end = rest.find(closing, 1)
    if end <= 1 or not rest[1:end].strip() or len(rest) - end > HEAD_CHARS:
        return None
    return rest[1:end], rest[end + 1 :]


@dataclass(frozen=True, slots=True)
class Masked:
    """A sentence with each quoted name, path and id behind one private-use character."""

    text: str
    literals: tuple[str, ...]

    @property
    def marks(self) -> frozenset[str]:
        """The characters that stand for a literal."""
        return frozenset(chr(_FIRST_LITERAL + index) for index in range(len(self.literals)))

    def restore(self, text: str) -> str:
        return "".join(self._restored(char) for char in text).strip()

    def _restored(self, char: str) -> str:
        index = ord(char) - _FIRST_LITERAL
        return self.literals[index] if 0 <= index < len(self.literals) else char


def mask(before: str, after: str | None = None) -> Masked:
    """Hide what the matcher would spoil. Private-use characters of the speaker's own are dropped first.

    With `after`, the result reads `before`, the script's mark, `after`.
    """
    literals: list[str] = []

    def hide(match: re.Match[str]) -> str:
        if _FIRST_LITERAL + len(literals) > _LAST_LITERAL:
            return match.group(0)
        literals.append(next((group for group in match.groups() if group), match.group(0)))
        return chr(_FIRST_LITERAL + len(literals) - 1)

    parts = [_PRIVATE_USE.sub("", part) for part in (before, after) if part is not None]
    hidden = [_PATH.sub(hide, _QUOTED.sub(hide, part)) for part in parts]
    return Masked(f" {SCRIPT_MARK} ".join(hidden), tuple(literals))
