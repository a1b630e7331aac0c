"""Reads one persona file and says line and field of whatever is wrong with it; used by the library."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml
from pydantic import ValidationError

from studio.personas.schemas import Persona

MAX_FILE_BYTES = 256 * 1024


class BadPersonaFile(Exception):
    """One sentence: file, line, field, fault."""


def read_persona(path: Path) -> Persona:
    """Raises BadPersonaFile; never runs anything the file says (safe loader)."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise BadPersonaFile(f"{path.name}: larger than {MAX_FILE_BYTES // 1024} KiB")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadPersonaFile(f"{path.name}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadPersonaFile(f"{path.name}: byte {error.start} is not UTF-8") from error
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        # Aliases let a small file grow without bound when it is read; a persona has no need of them.
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text, Loader=yaml.SafeLoader)):
            raise BadPersonaFile(f"{path.name}: aliases (*name) are not used in persona files")
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark is not None else ""
        raise BadPersonaFile(f"{path.name}{line}: {getattr(error, 'problem', None) or 'not YAML'}") from error
    if not isinstance(data, dict):
        raise BadPersonaFile(
            f"{path.name}, line 1: a persona file is a mapping with `id`, `name`, `face`, `voice`"
        )
    try:
        return Persona.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise BadPersonaFile(
            f"{path.name}, line {line_of(root, first['loc'])}, field {where}: {first['msg']}"
        ) from error


def line_of(root: yaml.Node | None, loc: Sequence[str | int]) -> int:
    """Line (from 1) of a field, or of the nearest thing above it that the file holds.

    Pydantic puts the tag of a union into the path (`face`, `rig`, `character`), which no file holds: it is
    skipped.
    """
    node, line = root, 1
    for part in loc:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == str(part):
                    node, line = value, key.start_mark.line + 1
                    break
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
    return line
