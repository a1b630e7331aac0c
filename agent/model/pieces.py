"""Puts an answer together out of the pieces of its stream: what is said, what is only thought, tool calls;
used by OpenAiServer.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from agent.model.backend import ToolAsk
from agent.model.wire import ToolCallDelta

THINKS, THOUGHT = "<think>", "</think>"
MOST_CALLS = 64


class Spoken:
    """Text without what a model thinks aloud before it: some servers leave that in the content."""

    def __init__(self) -> None:
        self._held = ""
        self._thinking: bool | None = None
        """None: the answer has not begun, as far as can be seen."""
        self._has_thought = False

    def next(self, content: str) -> str:
        """Returns what of it can be told now. A NUL is in no text, and PostgreSQL stores none."""
        content = content.replace("\0", "")
        if self._thinking is False:
            return self._begun(content)
        self._held += content
        if self._thinking is None:
            begin = self._held.lstrip()
            if THINKS.startswith(begin[: len(THINKS)]) and len(begin) < len(THINKS):
                return ""
            self._thinking = begin.startswith(THINKS)
            if not self._thinking:
                return self._let_go()
        _, end, rest = self._held.partition(THOUGHT)
        if not end:
            # Enough to see the end in two pieces.
            self._held = self._held[-len(THOUGHT) :]
            return ""
        self._thinking, self._held, self._has_thought = False, "", True
        return self._begun(rest)

    def _begun(self, text: str) -> str:
        """The text of an answer; blank lines after a thought are none of it."""
        if self._has_thought:
            text = text.lstrip()
            self._has_thought = not text
        return text

    def rest(self) -> str:
        """Returns what was held back because it could have become a thought, at the end of the answer."""
        return "" if self._thinking else self._let_go()

    def _let_go(self) -> str:
        held, self._held = self._held, ""
        return held


class _Gathered:
    """The pieces of one tool call."""

    def __init__(self, index: int | None) -> None:
        self.index = index
        self.id = ""
        self.name = ""
        self.arguments: list[str] = []


class GatheredCalls:
    """The tool calls of one answer, in the order in which they began.

    Their `index` may have gaps, be missing, or be the same for all, as at several servers.
    """

    def __init__(self) -> None:
        self._calls: list[_Gathered] = []

    def add(self, delta: ToolCallDelta) -> None:
        gathered = self._of(delta)
        gathered.id = gathered.id or (delta.id or "")[:128]
        gathered.name = gathered.name or (delta.function.name or "")[:128]
        gathered.arguments.append(delta.function.arguments or "")

    def _of(self, delta: ToolCallDelta) -> _Gathered:
        known = next((one for one in reversed(self._calls) if delta.index in (None, one.index)), None)
        if known is not None and (not _begins(delta, known) or len(self._calls) >= MOST_CALLS):
            return known
        self._calls.append(_Gathered(delta.index))
        return self._calls[-1]

    def asks(self) -> Iterator[ToolAsk]:
        for place, one in enumerate(self._calls):
            yield ToolAsk(one.id or f"call_{place}", one.name, "".join(one.arguments) or json.dumps({}))


def _begins(delta: ToolCallDelta, known: _Gathered) -> bool:
    """Returns whether this is another call than the one with the same index: a name again, and another id or
    none.
    """
    if not delta.function.name or not known.name:
        return False
    if delta.id or known.id:
        return bool(delta.id) and delta.id != known.id
    return _is_whole("".join(known.arguments))


def _is_whole(arguments: str) -> bool:
    try:
        json.loads(arguments)
    except (ValueError, RecursionError):
        return False
    return True
