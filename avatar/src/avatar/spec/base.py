"""The base of all wire types: frozen, strict about unknown keys, hashed by their canonical JSON."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

SHA256_PATTERN = r"^sha256:[0-9a-f]{64}$"
Colour = Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}([0-9a-fA-F]{2})?$")]
"""`#rrggbb` or `#rrggbbaa`."""


class SpecModel(BaseModel):
    """A wire type. Unknown keys are errors, values never change after parsing."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


def canonical_json(value: Any) -> bytes:
    """Sorted keys, no spaces, UTF-8: the same value gives the same bytes everywhere (after RFC 8785)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def content_hash(value: Any) -> str:
    """`sha256:<64 hex>` of the canonical JSON of `value`."""
    return "sha256:" + hashlib.sha256(canonical_json(value)).hexdigest()


class MediaRef(SpecModel):
    """A file. `sha256` alone is looked up in the worker's `--blobs` folder; `path` is read as it stands."""

    sha256: str | None = Field(default=None, pattern=SHA256_PATTERN)
    path: str | None = None
    media_type: str | None = None
    name: str | None = Field(default=None, description="What people called the file; never used as a path.")

    @model_validator(mode="after")
    def _one_source(self) -> MediaRef:
        if self.sha256 is None and self.path is None:
            raise ValueError("a media reference needs `sha256` or `path`")
        return self


def sha256_of(path: Path) -> str:
    """Returns `sha256:<64 hex>` of a file's bytes."""
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
