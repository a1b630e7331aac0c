"""The weights that engines can use, as models.toml declares them."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from pathlib import PurePosixPath
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from avatar.errors import InvalidInput

Sha256 = str


class WeightFile(BaseModel):
    """One file of weights. Soundstage neither ships nor fetches it: an operator brings it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: str = Field(pattern=r"^[a-z0-9]+\.[a-z0-9]+$")
    engine: str
    path: str = Field(description="below the models folder; with `many`, the folder of the files")
    format: Literal["torch", "safetensors", "onnx", "piper"]
    sha256: Sha256 | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    about_mib: int | None = None
    source: str = Field(min_length=1, description="where a person gets it")
    licence: str = Field(min_length=1)
    limits: str = Field(min_length=1, description="what the licence allows, in one sentence")
    optional: bool = False
    many: bool = Field(default=False, description="any number of files, each under its own name")
    tensors: dict[str, tuple[int, ...]] = Field(default_factory=dict, description="by which a file is known")

    @field_validator("path")
    @classmethod
    def _below(cls, value: str) -> str:
        path = PurePosixPath(value)
        if path.is_absolute() or ".." in path.parts:
            raise ValueError("must lie below the models folder")
        return value


@cache
def manifest() -> tuple[WeightFile, ...]:
    """All of them, in the order of models.toml."""
    text = (files("avatar") / "models.toml").read_text(encoding="utf-8")
    return tuple(WeightFile.model_validate(entry) for entry in tomllib.loads(text)["file"])


def weight_file(role: str) -> WeightFile:
    """Raises InvalidInput `weights.unknown_role`."""
    for entry in manifest():
        if entry.role == role:
            return entry
    roles = ", ".join(entry.role for entry in manifest())
    raise InvalidInput(
        "weights.unknown_role", f"No engine uses weights called {role}.", f"There are: {roles}."
    )


def role_of(file_name: str) -> WeightFile:
    """The entry that a file's name means. Raises InvalidInput `weights.role_unclear`."""
    fitting = [entry for entry in manifest() if PurePosixPath(entry.path).name == file_name]
    if len(fitting) == 1:
        return fitting[0]
    raise InvalidInput(
        "weights.role_unclear",
        f"The name {file_name} does not say what the file is for.",
        "Name it with --role; `models list` shows the roles.",
    )
