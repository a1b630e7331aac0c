"""Words what tools and errors say in the language of a conversation, from `agent/replies/tools/*.yaml`."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

from agent.events import ApprovalRequested, Failure, Text
from agent.presentation import Block, Blocks, Inline, Items, Link, Paragraph, StateLabel, Table, as_text
from agent.sentences import read_folder
from soundstage.errors import SoundstageError

_NAME = re.compile(r"\{(\w+)\}")
_MARK = 0xE000
_MARKS = re.compile("([\ue000-\ue0ff])")
_SENTENCE = re.compile(r"(?<=[.!?”:])\s+(?=[A-Z“\ue000-\ue0ff`]|[0-9])")
_INDENT = re.compile(r"([\s•]*)(.*?)(\s*)\Z", re.DOTALL)
_TRAILING = re.compile(r"^(.*?)((?:\s?[\ue000-\ue0ff]|\s\([a-z]{2,4}_[0-9a-z]{6,}\))*)$", re.DOTALL)
"""Marks and ids behind a sentence."""
_QUOTED = re.compile("“(.*)”", re.DOTALL)
MOST_CHARS = 2000
"""A longer text is none that tools word themselves."""
E = TypeVar("E", bound=SoundstageError)
N = TypeVar("N", Failure, ApprovalRequested)


@dataclass(frozen=True)
class Translation:
    """The sentences of one language, in the order of their file; a sentence that is not there stays."""

    sentences: Sequence[tuple[re.Pattern[str], str]]
    words: Mapping[str, str]
    quotes: tuple[str, str] = ("“", "”")

    @classmethod
    def of(cls, language: str) -> Translation:
        """Returns the translation into a language; an empty one where there is none."""
        return _translations().get(language, cls((), {}))

    def text(self, text: str) -> str:
        """Returns a text with each of its lines and sentences in the language, as far as they are there."""
        if not self.sentences or len(text) > MOST_CHARS:
            return text
        return "\n".join(self._line(line) for line in text.split("\n"))

    def message(self, text: Text) -> Text:
        """Returns a text with its blocks."""
        if not self.sentences:
            return text
        blocks = self.blocks(text.blocks or ())
        words = as_text(blocks) if blocks else self.text(text.text)
        return text.model_copy(update={"text": words, "blocks": blocks or text.blocks})

    def notice(self, event: N) -> N:
        """Returns a failure, or a call that waits for an approval, in words of the language."""
        return event.model_copy(update={"message": self.text(event.message), "hint": self.text(event.hint)})

    def error(self, error: E) -> E:
        """Returns an error in words of the language."""
        found = copy.copy(error)
        found.message, found.hint = self.text(error.message), self.text(error.hint)
        return found

    def blocks(self, blocks: Blocks) -> Blocks:
        return tuple(self._block(block) for block in blocks)

    def _block(self, block: Block) -> Block:
        match block:
            case Paragraph():
                return block.model_copy(update={"content": self._content(block.content)})
            case Table():
                heads = tuple(self.words.get(head, head) for head in block.heads)
                rows = tuple(tuple(map(self._cell, row)) for row in block.rows)
                name = self.words.get(block.name, block.name)
                return block.model_copy(update={"heads": heads, "rows": rows, "name": name})
            case Items():
                rows = tuple(tuple(map(self._entry, row)) for row in block.rows)
                return block.model_copy(update={"rows": rows})
        return block

    def _entry(self, part: Inline) -> Inline:
        if not isinstance(part, str):
            return self._cell(part)
        return self._in_quotes(part) or self.text(part)

    def _in_quotes(self, text: str) -> str | None:
        """Returns a quotation with the marks of the language; None for any other text."""
        quoted = _QUOTED.fullmatch(text)
        return None if quoted is None else f"{self.quotes[0]}{quoted[1]}{self.quotes[1]}"

    def _cell(self, cell: Inline) -> Inline:
        if isinstance(cell, StateLabel):
            word = self.words.get(cell.text or cell.state)
            return cell if word is None else cell.model_copy(update={"text": word})
        if isinstance(cell, str):
            return self.text(cell)
        if isinstance(cell, Link) and (quoted := self._in_quotes(cell.text)) is not None:
            return cell.model_copy(update={"text": quoted})
        return cell

    def _content(self, content: Sequence[Inline]) -> tuple[Inline, ...]:
        """Returns running text, in which links, ids and states keep their places in the sentence."""
        parts = [part for part in content if not isinstance(part, str)]
        places = iter(range(len(parts)))
        text = "".join(part if isinstance(part, str) else chr(_MARK + next(places)) for part in content)
        found = _MARKS.split(self.text(text))
        return tuple(
            self._cell(parts[ord(one) - _MARK]) if _MARKS.fullmatch(one) else one for one in found if one
        )

    def _line(self, line: str) -> str:
        indent, text, end = _INDENT.match(line).groups()  # type: ignore[union-attr]
        if not text:
            return line
        if (whole := self._sentence(text)) is not None:
            return f"{indent}{whole}{end}"
        head, colon, rest = text.partition(": ")
        if colon and (known := self._sentence(head)) is not None:
            # What is done, and with what: a line of a plan.
            return f"{indent}{known}: {rest}{end}"
        return f"{indent}{' '.join(self._sentences(_SENTENCE.split(text)))}{end}"

    def _sentences(self, parts: Sequence[str]) -> list[str]:
        """Returns sentences, the longest runs of them that are there first."""
        found: list[str] = []
        start = 0
        while start < len(parts):
            for stop in range(len(parts), start, -1):
                translated = self._sentence(" ".join(parts[start:stop]))
                if translated is not None or stop == start + 1:
                    found.append(parts[start] if translated is None else translated)
                    start = stop
                    break
        return found

    def _sentence(self, text: str) -> str | None:
        body, trailing = _TRAILING.match(text).groups()  # type: ignore[union-attr]
        for pattern, template in self.sentences:
            if (match := pattern.fullmatch(body)) is not None:
                values = {name: self.words.get(value, value) for name, value in match.groupdict().items()}
                return _NAME.sub(lambda one: values[one[1]], template) + trailing  # noqa: B023
        return None


def _pattern(template: str) -> re.Pattern[str]:
    seen: set[str] = set()
    parts = []
    for place, part in enumerate(_NAME.split(template)):
        if place % 2 == 0:
            parts.append(re.escape(part))
        elif part in seen:
            parts.append(f"(?P={part})")
        else:
            seen.add(part)
            # A number is one word: “First, machines: …” begins with none.
            parts.append(rf"(?P<{part}>[\w.]+)" if part == "number" else f"(?P<{part}>.+?)")
    return re.compile("".join(parts), re.DOTALL)


@cache
def _translations() -> Mapping[str, Translation]:
    found: dict[str, Translation] = {}
    for language, data in read_folder("replies/tools").items():
        sentences = [(_pattern(source), str(target), source) for source, target in data["sentences"].items()]
        # What has more words of its own comes first: “This render is {state}.” before “{video} is queued.”.
        sentences.sort(key=lambda one: -len(_NAME.sub("", one[2])))
        words = {str(word): str(meant) for word, meant in data["words"].items()}
        pairs = [(pattern, target) for pattern, target, _ in sentences]
        found[language] = Translation(pairs, words, tuple(data["quotes"]))
    return found
