"""Defines a fault as two functions of a machine. Both must be idempotent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lab.paths import MachinePaths
from lab.plan import MachinePlan


@dataclass(frozen=True, slots=True)
class FaultTarget:
    """The machine into which a fault is injected."""

    paths: MachinePaths
    plan: MachinePlan


@dataclass(frozen=True, slots=True)
class Fault:
    """`what`: what people of a real farm would see; `lasts`: it stays until it is cleared."""

    name: str
    what: str
    inject: Callable[[FaultTarget], None]
    clear: Callable[[FaultTarget], None]
    lasts: bool = True


def nothing_to_clear(_: FaultTarget) -> None:
    """Does nothing: for faults that are over at once."""
