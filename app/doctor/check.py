"""One finding of the doctor."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel


class Level(StrEnum):
    """`amber` works with less, `red` must be mended first."""

    GREEN = "green"
    AMBER = "amber"
    RED = "red"


class Check(BaseModel, frozen=True):
    name: str
    level: Level
    found: str
    fix: str = ""


def green(name: str, found: str) -> Check:
    return Check(name=name, level=Level.GREEN, found=found)


def amber(name: str, found: str, fix: str) -> Check:
    return Check(name=name, level=Level.AMBER, found=found, fix=fix)


def red(name: str, found: str, fix: str) -> Check:
    return Check(name=name, level=Level.RED, found=found, fix=fix)
