"""Assembles an answer from the pieces of its stream: text without reasoning, tool calls; for OpenAiServer."""

from __future__ import annotations

import json
from collections.abc import Iterator

from agent.model.backend import ToolAsk
from agent.model.wire import ToolCallDelta

REASONING_START, REASONING_END = "<think>", "</think>"
MAX_CALLS = 64


class ReasoningFilter:
    """Removes the reasoning before an answer, which some servers leave in the content."""

    def __init__(self) -> None:
        self._buffer = ""
        self._in_reasoning: bool | None = None
        """None: the answer has not begun, as far as can be seen."""
        self._strip_next = False
        self._reasoning: list[str] = []

    def next(self, content: str) -> str:
        """Returns the text that is certainly part of the answer. NUL is dropped: PostgreSQL stores none."""
        content = content.replace("\0", "")
        if self._in_reasoning is False:
            return self._answer_text(content)
        self._buffer += content
        if self._in_reasoning is None:
            begin = self._buffer.lstrip()
            if len(begin) < len(REASONING_START) and REASONING_START.startswith(begin):
                return ""
            self._in_reasoning = begin.startswith(REASONING_START)
            if not self._in_reasoning:
                return self._flush()
            self._buffer = begin.removeprefix(REASONING_START)
        thought, end, rest = self._buffer.partition(REASONING_END)
        if not end:
            # Enough to see the end in two pieces.
            self._reasoning.append(self._buffer[: -len(REASONING_END)])
            self._buffer = self._buffer[-len(REASONING_END) :]
            return ""
        self._reasoning.append(thought)
        self._in_reasoning, self._buffer, self._strip_next = False, "", True
        return self._answer_text(rest)

    def _answer_text(self, text: str) -> str:
        """Returns text of the answer, without blank lines after the reasoning."""
        if self._strip_next:
            text = text.lstrip()
            self._strip_next = not text
        return text

    def take_reasoning(self) -> str:
        """Returns the reasoning since the last time."""
        text = "".join(self._reasoning)
        self._reasoning.clear()
        return text

    def rest(self) -> str:
        """Returns the buffered rest at the end of the answer."""
        return "" if self._in_reasoning else self._flush()

    def _flush(self) -> str:
        text, self._buffer = self._buffer, ""
        return text


class _PartialCall:
    """One tool call, as far as its pieces have come."""

    def __init__(self, index: int | None) -> None:
        self.index = index
        self.id = ""
        self.name = ""
        self.arguments: list[str] = []


class ToolCallAssembler:
    """The tool calls of one answer, in the order in which they began.

    Their `index` may have gaps, be missing, or be the same for all, as at several servers.
    """

    def __init__(self) -> None:
        self._calls: list[_PartialCall] = []

    def add(self, delta: ToolCallDelta) -> None:
        call = self._call_of(delta)
        call.id = call.id or (delta.id or "")[:128]
        call.name = call.name or (delta.function.name or "")[:128]
        call.arguments.append(delta.function.arguments or "")

    def _call_of(self, delta: ToolCallDelta) -> _PartialCall:
        last = next((one for one in reversed(self._calls) if delta.index in (None, one.index)), None)
        if last is not None and (not _begins(delta, last) or len(self._calls) >= MAX_CALLS):
            return last
        self._calls.append(_PartialCall(delta.index))
        return self._calls[-1]

    def asks(self) -> Iterator[ToolAsk]:
        for place, one in enumerate(self._calls):
            yield ToolAsk(one.id or f"call_{place}", one.name, "".join(one.arguments) or json.dumps({}))


def _begins(delta: ToolCallDelta, last: _PartialCall) -> bool:
    """Returns whether this is another call than the one with the same index: a name again, and another id or
    none.
    """
    if not delta.function.name or not last.name:
        return False
    if delta.id or last.id:
        return bool(delta.id) and delta.id != last.id
    return _is_whole("".join(last.arguments))


def _is_whole(arguments: str) -> bool:
    try:
        json.loads(arguments)
    except (ValueError, RecursionError):
        return False
    return True
