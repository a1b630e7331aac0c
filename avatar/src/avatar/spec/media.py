"""References to files: by content hash (from the blob store) or by path (when the worker runs alone)."""

from __future__ import annotations

from pydantic import Field, model_validator

from avatar.spec.base import SpecModel

SHA256_PATTERN = r"^sha256:[0-9a-f]{64}$"


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
