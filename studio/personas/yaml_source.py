"""Reads one persona file and says line, column and field of what is wrong; used by library, routes, CLI."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml
from pydantic import ValidationError

from studio.personas.faults import MAX_FAULTS, BadPersonaFile, Fault
from studio.personas.schemas import Persona

MAX_FILE_BYTES = 256 * 1024
MAX_DEPTH = 40
"""Levels of YAML: a persona has five, and a thousand would end the reader."""

MAX_QUOTED = 60

_NO_VALUE = (ValueError, RecursionError, AttributeError, LookupError)
"""What the reader falls over where a text is YAML and no value of its kind: a date such as 2026-13-45, or one
that a tag only claims to be (`!!int ""`, `!!bool perhaps`, `!!timestamp soon`).
"""


def read_persona(path: Path) -> Persona:
    """Raises BadPersonaFile; never runs anything the file says (safe loader)."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise _whole(path.name, f"larger than {MAX_FILE_BYTES // 1024} KiB")
        content = path.read_bytes()
    except OSError as error:
        raise _whole(path.name, f"cannot be read: {error.strerror}") from error
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _whole(path.name, f"byte {error.start} is not UTF-8") from error
    return parse_persona(text, path.name)


def parse_persona(text: str, file: str) -> Persona:
    """The persona in a text; `file` is how it is called in what is wrong. Raises BadPersonaFile."""
    if len(text) > MAX_FILE_BYTES:
        raise _whole(file, f"larger than {MAX_FILE_BYTES // 1024} KiB")
    root: yaml.Node | None = None
    try:
        _check_tokens(text, file)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        message = getattr(error, "problem", None) or "not YAML"
        if mark is None:
            raise _whole(file, message) from error
        fault = Fault(line=mark.line + 1, column=mark.column + 1, message=message)
        raise BadPersonaFile(file, [fault]) from error
    except _NO_VALUE as error:
        if (misnamed := _misnamed(root)) is not None:
            raise BadPersonaFile(file, [misnamed]) from error
        raise _whole(file, f"not YAML that can be read: {error}") from error
    if not isinstance(data, dict):
        message = "a persona file is a mapping with `id`, `name`, `face`, `voice`"
        raise BadPersonaFile(file, [Fault(line=1, column=1, message=message)])
    if (twice := _repeated(root)) is not None:
        raise BadPersonaFile(file, [twice])
    try:
        return Persona.model_validate(data)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        # Only of those that are told: each place is looked for in the whole file.
        faults = [_fault(root, one["loc"], one["msg"]) for one in found[:MAX_FAULTS]]
        raise BadPersonaFile(file, faults, len(found)) from error


def place_of(root: yaml.Node | None, loc: Sequence[str | int]) -> tuple[int, int]:
    """Line and column (from 1) of a field, or of the nearest thing above it that the file holds.

    Pydantic puts the tag of a union into the path (`face`, `rig`, `character`), which no file holds: it is
    skipped.
    """
    node = root
    line, column = 1, 1
    for part in loc:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == str(part):
                    node, line, column = value, key.start_mark.line + 1, key.start_mark.column + 1
                    break
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line, column = node.start_mark.line + 1, node.start_mark.column + 1
    return line, column


def _check_tokens(text: str, file: str) -> None:
    """Refuses, before anything is built, what lets a small file grow without bound or nest without end."""
    depth = 0
    opening = (
        yaml.BlockMappingStartToken,
        yaml.BlockSequenceStartToken,
        yaml.FlowMappingStartToken,
        yaml.FlowSequenceStartToken,
    )
    closing = (yaml.BlockEndToken, yaml.FlowMappingEndToken, yaml.FlowSequenceEndToken)
    for token in yaml.scan(text, Loader=yaml.SafeLoader):
        line, column = token.start_mark.line + 1, token.start_mark.column + 1
        if isinstance(token, yaml.AliasToken):
            message = "aliases (*name) are not used in persona files"
            raise BadPersonaFile(file, [Fault(line=line, column=column, message=message)])
        depth += isinstance(token, opening) - isinstance(token, closing)
        if depth > MAX_DEPTH:
            raise BadPersonaFile(file, [Fault(line=line, column=column, message="nested too deeply")])


def _misnamed(node: yaml.Node | None) -> Fault | None:
    """The first value that is not of the kind that its form or its tag names."""
    if isinstance(node, yaml.MappingNode):
        inner = [one for pair in node.value for one in pair]
    elif isinstance(node, yaml.SequenceNode):
        inner = list(node.value)
    else:
        inner = []
    if isinstance(node, yaml.ScalarNode):
        try:
            yaml.constructor.SafeConstructor().construct_object(node)
        except _NO_VALUE:
            kind = node.tag.rpartition(":")[2]
            mark = node.start_mark
            message = f"{node.value[:MAX_QUOTED]!r} is no {kind}"
            return Fault(line=mark.line + 1, column=mark.column + 1, message=message)
    return next((fault for one in inner if (fault := _misnamed(one)) is not None), None)


def _repeated(node: yaml.Node | None) -> Fault | None:
    """A key that stands twice in one mapping: YAML would silently keep the last."""
    if isinstance(node, yaml.SequenceNode):
        return next((fault for one in node.value if (fault := _repeated(one)) is not None), None)
    if not isinstance(node, yaml.MappingNode):
        return None
    seen = set()
    for key, value in node.value:
        if key.value in seen and isinstance(key, yaml.ScalarNode):
            mark = key.start_mark
            message = "this field stands twice"
            return Fault(line=mark.line + 1, column=mark.column + 1, field=str(key.value), message=message)
        if isinstance(key, yaml.ScalarNode):
            seen.add(key.value)
        if (fault := _repeated(value)) is not None:
            return fault
    return None


def _fault(root: yaml.Node | None, loc: Sequence[str | int], message: str) -> Fault:
    line, column = place_of(root, loc)
    return Fault(
        line=line, column=column, field=".".join(str(part) for part in loc) or "the file", message=message
    )


def _whole(file: str, message: str) -> BadPersonaFile:
    return BadPersonaFile(file, [Fault(message=message)])
