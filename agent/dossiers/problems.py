"""What is wrong with a dossier, each fault with its place as a JSON pointer (RFC 6901); told all at once."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel

MOST_TOLD = 100


class Problem(BaseModel):
    """`pointer` leads to the value that is wrong, or to the object that lacks something; "" is the whole."""

    pointer: str
    message: str
    hint: str = ""

    def sentence(self) -> str:
        return f"{self.pointer or '(the whole)'}: {self.message}" + (f" {self.hint}" if self.hint else "")


class BadDossier(Exception):
    """A dossier that cannot be compiled, and everything that is wrong with it."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(problems[0].sentence())
        self.problems = tuple(problems[:MOST_TOLD])
        self.count = len(problems)


def pointer_of(*parts: str | int) -> str:
    """RFC 6901 §3: `~` and `/` in a name are written `~0` and `~1`."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)
