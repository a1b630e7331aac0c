"""Bytes to JSON with limits that hold before anything is built; called by the compiler's routes and CLI."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from typing import Any

from agent.dossiers.problems import BadDossier, Problem

MAX_BYTES = 2 << 20
MAX_DEPTH = 40
MAX_VALUES = 200_000

# Without backtracking, and a text without an end is one token as well: else each of its quotes is tried anew.
_TOKENS = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[\]{},]', re.DOTALL)


def read_json(content: bytes) -> Any:
    """The JSON value. Raises BadDossier: too large, not UTF-8, too deep, a name twice, NaN, not JSON."""
    if len(content) > MAX_BYTES:
        raise _bad(f"The dossier has {len(content)} bytes; the limit is {MAX_BYTES}.", "Split it.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _bad(f"Byte {error.start} is not UTF-8.", "Save the file as UTF-8.") from error
    _check_size(text)
    try:
        value = json.loads(
            text,
            object_pairs_hook=_once,
            parse_constant=_no_constant,
            parse_int=_whole,
            parse_float=_finite,
        )
        # Half of a surrogate pair is a Python text that no file can hold.
        json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise _bad(f"Line {error.lineno}, column {error.colno}: {error.msg}.", "It must be JSON.") from error
    except UnicodeEncodeError as error:
        raise _bad("A text holds half of a surrogate pair.", "Write the character whole.") from error
    except ValueError as error:
        raise _bad(str(error), "Mend it and try again.") from error
    return value


def _check_size(text: str) -> None:
    depth = values = 0
    for token in _TOKENS.finditer(text):
        match token[0]:
            case "[" | "{":
                depth += 1
                values += 1
            case "]" | "}":
                depth -= 1
            case ",":
                values += 1
        if depth > MAX_DEPTH:
            raise _bad(f"It is nested more than {MAX_DEPTH} levels deep.", "Dossiers need about ten.")
        if values > MAX_VALUES:
            raise _bad(f"It holds more than {MAX_VALUES} values.", "Split it.")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        [(twice, _)] = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"The name {twice[:80]!r} stands twice in one object.")
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON.")


def _finite(text: str) -> float:
    found = float(text)
    if not math.isfinite(found):
        raise ValueError(f"The number {text[:40]} is too large.")
    return found


def _whole(text: str) -> int:
    if len(text) > 40:
        raise ValueError("A number has more than 40 digits.")
    return int(text)


def _bad(message: str, hint: str) -> BadDossier:
    return BadDossier([Problem(pointer="", message=message, hint=hint)])
