"""Defines a fault as two functions of a machine. Both must be idempotent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lab.places import MachinePlaces
from lab.plan import MachinePlan


@dataclass(frozen=True, slots=True)
class Struck:
    """The machine that a fault is done to."""

    places: MachinePlaces
    plan: MachinePlan


@dataclass(frozen=True, slots=True)
class Fault:
    """`what`: what people of a real farm would see; `lasts`: it stays until it is healed."""

    name: str
    what: str
    strike: Callable[[Struck], None]
    heal: Callable[[Struck], None]
    lasts: bool = True


def nothing_to_heal(_: Struck) -> None:
    """For what is over when it has happened."""
