"""A finished span as our files have it: one JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Value = str | bool | int | float
MAX_TEXT = 200
MAX_ATTRIBUTES = 32


@dataclass(slots=True)
class SpanRecord:
    """Ids are lower-case hex digits (32 and 16), times nanoseconds since 1970. `tenant` may see it."""

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    kind: str
    start_ns: int
    end_ns: int
    is_error: bool
    attributes: dict[str, Value]
    service: str = ""
    tenant: str = ""

    def to_json(self) -> str:
        return json.dumps(
            {
                "trace_id": self.trace_id,
                "span_id": self.span_id,
                "parent_id": self.parent_id,
                "name": self.name,
                "kind": self.kind,
                "start_ns": self.start_ns,
                "end_ns": self.end_ns,
                "is_error": self.is_error,
                "attributes": self.attributes,
                "service": self.service,
                "tenant": self.tenant,
            },
            ensure_ascii=False,
            separators=(",", ":"),
        )

    @classmethod
    def from_json(cls, line: str | bytes) -> SpanRecord:
        """Raises ValueError, TypeError for a line that was cut off."""
        return cls(**json.loads(line))


def plain_attributes(attributes: Mapping[str, Any] | None) -> dict[str, Value]:
    """Returns attributes of simple types, texts cut at `MAX_TEXT` characters."""
    found: dict[str, Value] = {}
    for name, value in (attributes or {}).items():
        if len(found) == MAX_ATTRIBUTES:
            break
        if isinstance(value, str):
            found[name] = value if len(value) <= MAX_TEXT else value[: MAX_TEXT - 1] + "…"
        elif isinstance(value, bool | int | float):
            found[name] = value
    return found
