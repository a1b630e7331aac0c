"""Problems of a dossier, each with its place as a JSON pointer (RFC 6901)."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel

MAX_PROBLEMS = 100


class Problem(BaseModel):
    """One problem. `pointer` leads to the wrong value, or the object that lacks one; "" is the whole."""

    pointer: str
    message: str
    hint: str = ""

    def sentence(self) -> str:
        return f"{self.pointer or '(the whole)'}: {self.message}" + (f" {self.hint}" if self.hint else "")


class BadDossier(Exception):
    """A dossier that cannot be compiled, with all its problems."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(problems[0].sentence())
        self.problems = tuple(problems[:MAX_PROBLEMS])
        self.count = len(problems)


def pointer_of(*parts: str | int) -> str:
    """Returns a JSON pointer; `~` and `/` in a name become `~0` and `~1` (RFC 6901 §3)."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)
