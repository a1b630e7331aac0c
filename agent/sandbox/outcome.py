"""The outcome of a run: typed for the tool, and parsed from the report of an untrusted process."""

from __future__ import annotations

import unicodedata
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field, ValidationError

LimitHit = Literal["time", "cpu", "memory", "processes", "disk", "file_size", "output"]


def _visible(path: str) -> str:
    """Returns the path on one line, with control and formatting characters escaped."""
    hidden = ("Cc", "Cf", "Cs", "Zl", "Zp")
    return "".join(
        one.encode("unicode_escape").decode("ascii") if unicodedata.category(one) in hidden else one
        for one in path
    )


class OutputFile(BaseModel, frozen=True, extra="forbid"):
    """A file that the code left in its work folder; without content where it is too large."""

    path: Annotated[str, AfterValidator(_visible)] = Field(max_length=1024)
    bytes: int = Field(ge=0)
    text: str | None = None
    base64: str | None = None


class Report(BaseModel, frozen=True, extra="forbid"):
    """The report of the first process inside. The code may have forged it, so it is only data."""

    exit: int = Field(ge=-64, le=255)
    """Negative for a signal."""
    result: str | None = None
    limit: LimitHit | None = None
    files: tuple[OutputFile, ...] = Field(default=(), max_length=1000)


class SandboxRun(BaseModel, frozen=True):
    """`exit` is negative for the signal that ended it; `result` is what the last expression is."""

    stdout: str
    stderr: str
    exit: int
    result: str | None = None
    limit: LimitHit | None = None
    files: tuple[OutputFile, ...] = ()
    seconds: float = Field(ge=0)


class Footing(BaseModel, frozen=True):
    """The isolation that this machine offers."""

    bubblewrap: str
    """The program and its version."""
    sealed: bool
    """Whether the kernel refuses namespaces inside, and not the filter of system calls alone."""
    grouped: bool
    """Whether limits hold for all processes together, and not for each."""


def read_report(line: bytes) -> Report | None:
    """Returns the report; None for an invalid one, or where the code has killed its writer."""
    try:
        return Report.model_validate_json(line)
    except ValidationError:
        return None
