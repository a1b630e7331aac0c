"""Keeps long scripts away from the model: it gets a mark for them, and tools get them word for word."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from agent.understanding.literals import script_cuts

KEPT_FROM_CHARS = 400
"""Shorter scripts go to the model as they are: it may be asked to work on them."""
LONGEST_UTTERANCE_CHARS = 16_000
_MARK = re.compile(r"⟦text 1⟧")


class ScriptPlaceholder:
    """What the model is shown of an utterance, and what its marks stand for."""

    def __init__(self, utterance: str) -> None:
        self._script: str | None = None
        self.shown = utterance
        # A colon or a quotation mark tells more surely where a text begins than a word of saying does.
        cuts = sorted(script_cuts(utterance), key=lambda cut: not _announced(utterance[len(cut.before) :]))
        cut = next(iter(cuts), None)
        if cut is not None and len(cut.script) >= KEPT_FROM_CHARS:
            self._script = cut.script
            self.shown = f"{cut.before}: ⟦text 1⟧ ({len(cut.script)} characters) {cut.after}".strip()
        elif len(utterance) > LONGEST_UTTERANCE_CHARS:
            self._script = utterance
            self.shown = f"{utterance[:KEPT_FROM_CHARS]}… All of it is ⟦text 1⟧."

    def restore(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments with the kept text where its mark stands, at the top level: no tool nests texts."""
        return {
            name: _MARK.sub(lambda _: self._script or "", value) if self._holds(value) else value
            for name, value in arguments.items()
        }

    def _holds(self, value: object) -> bool:
        return self._script is not None and isinstance(value, str) and _MARK.search(value) is not None


def _announced(rest: str) -> bool:
    return rest.lstrip()[:1] in tuple(':："“„«')
