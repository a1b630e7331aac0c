"""Keeps a long script of the person out of a request to a model, and puts it back into its calls."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from agent.understanding.literals import script_cuts

REPLACED_FROM_CHARS = 400
"""Shorter scripts go to the model as they are: it may be asked to work on them."""
LONGEST_UTTERANCE_CHARS = 16_000
_MARK = re.compile(r"⟦text 1⟧")


class ScriptPlaceholder:
    """`text` is the utterance for the model; `restore` puts the script back into its arguments."""

    def __init__(self, utterance: str) -> None:
        self._script: str | None = None
        self.text = utterance
        # A colon or a quotation mark is a surer sign of where a text begins than a verb of saying.
        cuts = sorted(script_cuts(utterance), key=lambda cut: not _is_marked(utterance[len(cut.before) :]))
        cut = next(iter(cuts), None)
        if cut is not None and len(cut.script) >= REPLACED_FROM_CHARS:
            self._script = cut.script
            self.text = f"{cut.before}: ⟦text 1⟧ ({len(cut.script)} characters) {cut.after}".strip()
        elif len(utterance) > LONGEST_UTTERANCE_CHARS:
            self._script = utterance
            self.text = f"{utterance[:REPLACED_FROM_CHARS]}… All of it is ⟦text 1⟧."

    def restore(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the arguments with the script in place of its placeholder. No tool nests texts."""
        return {
            name: _MARK.sub(lambda _: self._script or "", value) if self._has_placeholder(value) else value
            for name, value in arguments.items()
        }

    def _has_placeholder(self, value: object) -> bool:
        return self._script is not None and isinstance(value, str) and _MARK.search(value) is not None


def _is_marked(rest: str) -> bool:
    return rest.lstrip()[:1] in tuple(':："“„«')
