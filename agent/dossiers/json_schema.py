"""The part of JSON Schema that functions of dossiers use: looked over, checked against, exampled."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from agent.dossiers.problems import Problem, pointer_of

TYPES = ("object", "array", "string", "number", "integer", "boolean", "null")
MAX_EXAMPLE_DEPTH = 8
MAX_EXAMPLE_ITEMS = 3
EXAMPLE_TEXTS = {
    "uuid": "00000000-0000-4000-8000-000000000001",
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "time": "12:00:00Z",
    "email": "somebody@example.com",
    "uri": "https://example.com/",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
}
_MATCHES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,), "array": (list,), "string": (str,), "number": (int, float), "integer": (int,),
    "boolean": (bool,), "null": (type(None),),
}  # fmt: skip


def schema_problems(schema: Any, pointer: str) -> Iterator[Problem]:
    """Yields what is wrong with a schema itself: unknown types, properties that are no schemas,
    references.
    """
    if isinstance(schema, bool):
        return
    if not isinstance(schema, dict):
        yield Problem(pointer=pointer, message="A schema is an object.")
        return
    if "$ref" in schema:
        place = pointer + pointer_of("$ref")
        yield Problem(
            pointer=place, message="References are not followed here.", hint="Write the schema out."
        )
    kinds = schema.get("type", [])
    for kind in kinds if isinstance(kinds, list) else [kinds]:
        if kind not in TYPES:
            message = f"There is no type {str(kind)[:40]!r}."
            yield Problem(pointer=pointer + "/type", message=message, hint=f"There are: {', '.join(TYPES)}.")
    properties = schema.get("properties", {})
    if isinstance(properties, dict):
        for name, inner in properties.items():
            yield from schema_problems(inner, pointer + pointer_of("properties", name))
    else:
        yield Problem(pointer=pointer + "/properties", message="This must be an object of schemas.")
    required = schema.get("required", [])
    if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
        yield Problem(pointer=pointer + "/required", message="This must be a list of names.")
    if "items" in schema:
        yield from schema_problems(schema["items"], pointer + "/items")


def value_problems(schema: Any, value: Any, pointer: str = "") -> Iterator[Problem]:
    """Yields where `value` is not what the schema wants: types, required, enum, bounds."""
    if not isinstance(schema, dict):
        return
    kinds = schema.get("type", [])
    kinds = kinds if isinstance(kinds, list) else [kinds]
    if kinds and not any(_is(value, kind) for kind in kinds):
        yield Problem(pointer=pointer, message=f"This must be {' or '.join(kinds)}.")
        return
    if "enum" in schema and isinstance(schema["enum"], list) and value not in schema["enum"]:
        yield Problem(pointer=pointer, message="This is none of the values that are allowed.")
    if isinstance(value, dict):
        for name in schema.get("required", []):
            if name not in value:
                yield Problem(pointer=pointer, message=f"`{name}` is missing.")
        properties = schema.get("properties", {})
        for name, inner in value.items():
            if name in properties:
                yield from value_problems(properties[name], inner, pointer + pointer_of(name))
            elif schema.get("additionalProperties") is False:
                yield Problem(pointer=pointer + pointer_of(name), message="This is not known.")
    if isinstance(value, list):
        for number, inner in enumerate(value):
            yield from value_problems(schema.get("items"), inner, pointer + pointer_of(number))
    if isinstance(value, int | float) and not isinstance(value, bool):
        minimum, maximum = _bound(schema.get("minimum")), _bound(schema.get("maximum"))
        if minimum is not None and value < minimum:
            yield Problem(pointer=pointer, message=f"The minimum is {minimum}.")
        if maximum is not None and value > maximum:
            yield Problem(pointer=pointer, message=f"The maximum is {maximum}.")


def example_of(schema: Any, name: str = "", depth: int = 0, items: int = MAX_EXAMPLE_ITEMS) -> Any:
    """A value that fits, always the same: the schema's own example, default or first choice, else by type.

    `items` bounds how often anything in it is repeated, lists within lists together.
    """
    if not isinstance(schema, dict) or depth > MAX_EXAMPLE_DEPTH:
        return None
    for word in ("const", "default", "example"):
        if word in schema:
            return schema[word]
    for word in ("examples", "enum"):
        if isinstance(schema.get(word), list) and schema[word]:
            return schema[word][0]
    kinds = schema.get("type")
    kind = kinds[0] if isinstance(kinds, list) and kinds else kinds
    if kind == "object" or (kind is None and "properties" in schema):
        properties = schema.get("properties", {})
        return {key: example_of(inner, key, depth + 1, items) for key, inner in properties.items()}
    if kind == "array":
        count = min(items, max(1, _whole(schema.get("minItems"), 1)))
        return [example_of(schema.get("items", {}), name, depth + 1, items // count) for _ in range(count)]
    if kind == "string":
        return EXAMPLE_TEXTS.get(str(schema.get("format")), f"an example {name}".strip())
    if kind in ("number", "integer"):
        minimum, maximum = _bound(schema.get("minimum")), _bound(schema.get("maximum"))
        found = minimum if minimum is not None else min(1, 1 if maximum is None else maximum)
        return found if kind == "number" else math.ceil(found) if minimum is not None else math.floor(found)
    return {"boolean": True}.get(str(kind))


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _MATCHES.get(kind, ()))


def _bound(value: Any) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _whole(value: Any, otherwise: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else otherwise
