"""Wire types of erasing a person."""

from __future__ import annotations

from pydantic import BaseModel, Field


class ErasePlan(BaseModel):
    """Everything that goes. The same list is shown by a dry run and carried out by the real one."""

    personas: list[str] = Field(default_factory=list)
    consents: list[str] = Field(default_factory=list)
    voices: list[str] = Field(default_factory=list, description="cloned ones, also at their services")
    assets: list[str] = Field(default_factory=list)
    renders: list[str] = Field(default_factory=list)
    segments: list[str] = Field(default_factory=list)
    versions: list[str] = Field(default_factory=list)
    blobs: list[str] = Field(default_factory=list)
    out_files: list[str] = Field(default_factory=list)
    names: dict[str, str] = Field(
        default_factory=dict, description="what people call personas, voices, assets and renders, by id"
    )
    applied: bool = False
