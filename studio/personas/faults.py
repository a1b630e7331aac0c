"""Faults of a persona file, each with its place; shown by reader, routes and CLI."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel

MAX_FAULTS = 20


class Fault(BaseModel):
    """One fault. Lines and columns count from 1; null where the fault is of the file as a whole."""

    line: int | None = None
    column: int | None = None
    field: str = ""
    message: str

    def sentence(self, file: str) -> str:
        place = [file]
        if self.line is not None:
            place.append(f"line {self.line}")
        if self.column is not None:
            place.append(f"column {self.column}")
        if self.field:
            place.append(f"field {self.field}")
        return f"{', '.join(place)}: {self.message}"


class BadPersonaFile(Exception):
    """One sentence about the first fault, and the first ones of all; `count` when there are more of them."""

    def __init__(self, file: str, faults: Sequence[Fault], count: int | None = None) -> None:
        others = (count or len(faults)) - 1
        more = f" (and {others} more)" if others else ""
        super().__init__(faults[0].sentence(file) + more)
        self.file = file
        self.faults = tuple(faults[:MAX_FAULTS])
