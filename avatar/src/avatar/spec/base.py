"""The base of all wire types: frozen, strict about unknown keys, hashed by their canonical JSON."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from pydantic import BaseModel, ConfigDict


class SpecModel(BaseModel):
    """A wire type. Unknown keys are errors, values never change after parsing."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


def canonical_json(value: Any) -> bytes:
    """Sorted keys, no spaces, UTF-8: the same value gives the same bytes everywhere (after RFC 8785)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def content_hash(value: Any) -> str:
    """`sha256:<64 hex>` of the canonical JSON of `value`."""
    return "sha256:" + hashlib.sha256(canonical_json(value)).hexdigest()
