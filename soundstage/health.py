"""Results of checks of an installation, and one sentence over all of them; used by the doctor, the health of
the installation and the agent's tool.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, Field

BY_CHECKS, BY_HEALING = "soundstage_health", "soundstage_healing"
"""Keys in the metadata of a drain in Nomad: the node's own checks ordered it, or self-healing."""


class Level(StrEnum):
    """`amber` works and needs a look, `red` must be mended first."""

    GREEN = "green"
    AMBER = "amber"
    RED = "red"


ORDER = (Level.RED, Level.AMBER, Level.GREEN)


class Check(BaseModel, frozen=True):
    name: str
    level: Level
    found: str = Field(description="what there is, or what is wrong, as a sentence")
    fix: str = Field(default="", description="what to do; empty where nothing is to be done")
    code: str = Field(default="", description="of what is wrong, for programs")


def green(name: str, found: str) -> Check:
    return Check(name=name, level=Level.GREEN, found=found)


def amber(name: str, found: str, fix: str, code: str = "") -> Check:
    return Check(name=name, level=Level.AMBER, found=found, fix=fix, code=code)


def red(name: str, found: str, fix: str, code: str = "") -> Check:
    return Check(name=name, level=Level.RED, found=found, fix=fix, code=code)


class InstallationHealth(BaseModel, frozen=True):
    """`level` is that of the worst check; the worst come first."""

    level: Level
    sentence: str
    at: datetime
    checks: tuple[Check, ...]

    @classmethod
    def of(cls, checks: Sequence[Check], at: datetime) -> InstallationHealth:
        ordered = tuple(sorted(checks, key=lambda check: ORDER.index(check.level)))
        level = ordered[0].level if ordered else Level.GREEN
        return cls(level=level, sentence=_sentence(ordered), at=at, checks=ordered)

    @property
    def complaints(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if check.level is not Level.GREEN)


def _sentence(checks: Sequence[Check]) -> str:
    levels = [check.level for check in checks]
    broken, noted = levels.count(Level.RED), levels.count(Level.AMBER)
    if not broken and not noted:
        return f"All is well: {len(checks)} checks."
    worst = checks[0]
    first = f"{worst.name}: {worst.found.rstrip('.')}. {worst.fix}".strip()
    counted = [
        *(["one thing is not well" if broken == 1 else f"{broken} things are not well"] if broken else []),
        *(["1 check needs a look" if noted == 1 else f"{noted} checks need a look"] if noted else []),
    ]
    beginning = "" if broken else "everything works, and "
    counts = f"{beginning}{', and '.join(counted)}."
    return f"{counts[0].upper()}{counts[1:]} {'First, ' if broken + noted > 1 else ''}{first}"
