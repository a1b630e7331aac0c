"""The lines and the spec of the guide about faces on a GPU, word by word."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

_TEXT = (Path(__file__).parents[3] / "docs/guide/gpu-faces.md").read_text()


def line_of(command: str) -> list[str]:
    """The words behind the program's name of the guide's command that begins so."""
    found = re.search(rf"^\$ ({command} .*)$", _TEXT, re.MULTILINE)
    if found is None:
        raise LookupError(f"the guide has no line: {command} …")
    return shlex.split(found[1])[1:]


def spec() -> dict[str, Any]:
    """Its first block of JSON."""
    found = re.search(r"```json\n(.*?)```", _TEXT, re.DOTALL)
    if found is None:
        raise LookupError("the guide has no spec")
    whole: dict[str, Any] = json.loads(found[1])
    return whole
