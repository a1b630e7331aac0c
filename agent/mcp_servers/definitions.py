"""Definitions of tools as MCP servers list them, and what of them may reach a language model.

All of it is text of others. A model gets the description marked as data, and of the schema the structure
alone: texts in schemas reach it as a part of that description.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from soundstage.errors import Invalid
from soundstage.one_line import harmless, shorten

SEPARATOR = "__"
MAX_DESCRIPTION_CHARS = 1000
MAX_NAME_CHARS = 64
"""Of the full name: the limit of OpenAI's chat completions."""
MAX_SCHEMA_NODES = 400
MAX_SCHEMA_DEPTH = 12
MAX_SCHEMA_TEXT_CHARS = 120

_NAME = re.compile(r"[A-Za-z0-9_-]+")
_ARGUMENT = re.compile(r"[A-Za-z0-9_.$-]{1,64}")
_WORD = re.compile(r"[\w.:/+#%-]{1,64}")
_INVISIBLE = re.compile(
    "[\u00ad\u180e\u200c\u200d\u2028\u2029\u2060-\u2065\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
"""Characters that people do not see and models read; tags (U+E00xx) can spell a whole hidden text."""
_TYPES = frozenset({"object", "array", "string", "number", "integer", "boolean", "null"})
_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
           "minItems", "maxItems", "minLength", "maxLength")  # fmt: skip


class ToolDefinition(BaseModel, frozen=True):
    """One tool of a server; `sha256` is of all that the server says of it."""

    name: str
    description: str
    input_schema: dict[str, Any]
    sha256: str

    @classmethod
    def of(cls, listed: Mapping[str, Any]) -> ToolDefinition:
        """Returns the definition of an entry of `tools/list`."""
        fields = {name: listed[name] for name in sorted(_DEFINING & listed.keys())}
        text = json.dumps(fields, sort_keys=True, ensure_ascii=True)
        return cls(
            name=str(listed["name"]),
            description=str(listed.get("description") or ""),
            input_schema=dict(listed.get("inputSchema") or {}),
            sha256=hashlib.sha256(text.encode()).hexdigest(),
        )


_DEFINING = frozenset({"name", "title", "description", "inputSchema", "outputSchema", "annotations"})


def clean_text(text: str, limit: int) -> str:
    """Returns text of others without control and invisible characters, cut to a length."""
    return shorten(_INVISIBLE.sub("", harmless(text)).strip(), limit)


def full_name(server: str, tool: str) -> str:
    """Returns `NAME__tool`. Raises `mcp_server.name_unusable` where models could not call it."""
    name = f"{server}{SEPARATOR}{tool}"
    if not _NAME.fullmatch(tool) or len(name) > MAX_NAME_CHARS:
        raise Invalid(
            "mcp_server.name_unusable",
            f"The server {server} has a tool whose name cannot be used: {clean_text(tool, 80)!r}.",
            f"Names have letters, digits, _ and -, and {MAX_NAME_CHARS} characters with that of the server.",
        )
    return name


class ReducedSchema:
    """The structure of a JSON Schema of others: no texts, no patterns, no references.

    `notes` are its texts, cleaned, each behind the argument that it is about. Raises
    `mcp_server.schema_unusable` for a schema that is too large, or whose arguments are not named by words.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._root = schema
        self._nodes = 0
        self.notes: list[str] = []
        reduced = self._reduce(schema, "", 0)
        self.schema: dict[str, Any] = {"properties": {}, **reduced, "type": "object"}

    def _reduce(self, node: Any, path: str, depth: int) -> dict[str, Any]:
        self._nodes += 1
        if self._nodes > MAX_SCHEMA_NODES or depth > MAX_SCHEMA_DEPTH:
            raise _unusable("it is too large, or refers to itself")
        if not isinstance(node, Mapping):
            return {}
        if isinstance(reference := node.get("$ref"), str):
            return self._reduce(self._resolve(reference), path, depth + 1)
        self._note(path, node)
        found: dict[str, Any] = {name: node[name] for name in _BOUNDS if _is_number(node.get(name))}
        types = node.get("type")
        named = [one for one in (types if isinstance(types, list) else [types]) if one in _TYPES]
        if named:
            found["type"] = named if isinstance(types, list) else named[0]
        if isinstance(properties := node.get("properties"), Mapping):
            found["properties"] = {
                _argument(name): self._reduce(one, f"{path}.{name}" if path else name, depth + 1)
                for name, one in properties.items()
            }
            required = node.get("required")
            names = required if isinstance(required, list) else []
            found["required"] = [one for one in properties if one in names]
        if isinstance(node.get("additionalProperties"), bool):
            found["additionalProperties"] = node["additionalProperties"]
        if "items" in node:
            found["items"] = self._reduce(node["items"], f"{path}[]", depth + 1)
        for name in ("anyOf", "oneOf"):
            if isinstance(several := node.get(name), list):
                found["anyOf"] = [self._reduce(one, path, depth + 1) for one in several]
        values = node.get("enum", [node["const"]] if "const" in node else None)
        if isinstance(values, list) and values and all(map(_is_value, values)):
            found["enum"] = values
        elif isinstance(values, list) and values:
            self._add_note(path, f"one of {json.dumps(values, ensure_ascii=False)}")
        return found

    def _resolve(self, reference: str) -> Any:
        """Returns what a reference inside the document names; nothing is fetched."""
        node: Any = self._root
        if not reference.startswith("#/"):
            raise _unusable("it refers to another document")
        for part in reference[2:].split("/"):
            node = node.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(node, Mapping) else None
        return node

    def _note(self, path: str, node: Mapping[str, Any]) -> None:
        for name in ("title", "description"):
            if path and isinstance(text := node.get(name), str) and text.lower() != path.lower():
                self._add_note(path, text)

    def _add_note(self, path: str, text: str) -> None:
        self.notes.append(f"{path}: {clean_text(' '.join(text.split()), MAX_SCHEMA_TEXT_CHARS)}")


def _argument(name: str) -> str:
    if not _ARGUMENT.fullmatch(name):
        raise _unusable(f"{clean_text(name, 80)!r} is no name of an argument")
    return name


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_value(value: object) -> bool:
    """Returns whether a value of an enum is a word or a number, and no sentence."""
    if isinstance(value, str):
        return _WORD.fullmatch(value) is not None
    return value is None or isinstance(value, bool | int | float)


def _unusable(why: str) -> Invalid:
    return Invalid(
        "mcp_server.schema_unusable",
        f"The schema of a tool cannot be used: {why}.",
        "Ask the maker of the MCP server for a simpler one; its other tools can be allowed.",
    )
