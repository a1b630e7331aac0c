"""What came of a run: typed for the tool, and read from the report of a process that nobody trusts."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

LimitHit = Literal["time", "cpu", "memory", "processes", "disk", "file_size", "output"]


class MadeFile(BaseModel):
    """A file that the code left in its work folder; without content where it is too large to be kept."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = Field(max_length=1024)
    bytes: int = Field(ge=0)
    text: str | None = None
    base64: str | None = None


class Report(BaseModel):
    """What the first process inside tells at the end. The code may have forged it, so it is only data."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    exit: int = Field(ge=-64, le=255)
    """Negative for a signal."""
    result: str | None = None
    limit: LimitHit | None = None
    files: tuple[MadeFile, ...] = Field(default=(), max_length=1000)


class SandboxRun(BaseModel):
    """`exit` is negative for the signal that ended it; `result` is what the last expression is."""

    model_config = ConfigDict(frozen=True)

    stdout: str
    stderr: str
    exit: int
    result: str | None = None
    limit: LimitHit | None = None
    files: tuple[MadeFile, ...] = ()
    seconds: float = Field(ge=0)


class Footing(BaseModel):
    """What the sandbox stands on here."""

    model_config = ConfigDict(frozen=True)

    bubblewrap: str
    """The program and its version."""
    sealed: bool
    """Whether the kernel refuses namespaces inside, and not the filter of system calls alone."""
    grouped: bool
    """Whether limits hold for all processes together, and not for each."""


def read_report(line: bytes) -> Report | None:
    """The report, or None where there is none that can be used: the code has killed whoever writes it."""
    try:
        return Report.model_validate_json(line)
    except ValidationError:
        return None
