"""What came of a run: typed for the tool, and read from the report of a process that nobody trusts."""

from __future__ import annotations

import unicodedata
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

LimitHit = Literal["time", "cpu", "memory", "processes", "disk", "file_size", "output"]


def _visible(path: str) -> str:
    """The path on one line: what breaks lines, hides or turns round letters is written as its escape."""
    hidden = ("Cc", "Cf", "Cs", "Zl", "Zp")
    return "".join(
        one.encode("unicode_escape").decode("ascii") if unicodedata.category(one) in hidden else one
        for one in path
    )


class MadeFile(BaseModel):
    """A file that the code left in its work folder; without content where it is too large to be kept."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Annotated[str, AfterValidator(_visible)] = Field(max_length=1024)
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
