"""Chooses the engine that draws a face here: the one that is named, or the best that card, weights and memory
allow.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from avatar.engines.card_memory import Card, card_is_possible, find_card
from avatar.engines.card_mode import min_mib
from avatar.engines.weights.checkpoint import INSTALL_TORCH
from avatar.engines.weights.store import ModelStore, models_folder
from avatar.errors import AvatarError, first_line
from avatar.spec import BETTER, ENGINE_NEEDS, EngineName, Face, RigFace, without_card

State = Literal[
    "available", "not_installed", "no_card", "card_too_old", "weights_missing", "too_little_memory"
]

ROLES: Mapping[EngineName, tuple[str, ...]] = MappingProxyType(
    {
        "liveportrait": (
            "liveportrait.appearance",
            "liveportrait.motion",
            "liveportrait.warping",
            "liveportrait.generator",
            "liveportrait.retargeting",
        ),
        "latentsync": ("latentsync.unet", "latentsync.whisper", "latentsync.vae"),
    }
)
"""The weights that each needs, by their roles in the manifest."""


def roles_of(engine: EngineName) -> tuple[str, ...]:
    return tuple(role for part in engine.split("+") for role in ROLES.get(part, ()))  # type: ignore[call-overload]


def uses_networks(engine: EngineName) -> bool:
    return bool(roles_of(engine))


def require_weights(engine: EngineName, models: Path) -> None:
    """Raises Unavailable `weights.missing` for the first file that is not there: which, from where, under
    which licence; InvalidInput `weights.changed`.
    """
    store = ModelStore(models)
    for role in roles_of(engine):
        store.require(role)


@dataclass(frozen=True, slots=True)
class Finding:
    """Availability of an engine here; the sentence names what is missing. near: a card is there."""

    state: State
    sentence: str = ""
    near: bool = True


@dataclass(frozen=True, slots=True)
class Machine:
    """The facts of a machine that engines depend on; tests replace them."""

    models: Path = field(default_factory=lambda: models_folder(os.environ))
    driver: Callable[[], bool] = card_is_possible
    installed: Callable[[], bool] = lambda: importlib.util.find_spec("torch") is not None
    card: Callable[[], Card | None] = find_card

    def finding(self, engine: EngineName) -> Finding:
        """The first thing that is in the way, from the cheapest to find to the dearest."""
        if not uses_networks(engine):
            return Finding("available")
        if not self.driver():
            return Finding("no_card", "there is no NVIDIA card with its driver", near=False)
        if not self.installed():
            return Finding("not_installed", f"PyTorch is not installed. {INSTALL_TORCH}".rstrip("."))
        if missing := self._missing(engine):
            return Finding("weights_missing", missing)
        try:
            card = self.card()
        except (
            RuntimeError,
            ImportError,
            OSError,
        ) as error:  # full, taken, fallen off the bus; a broken PyTorch
            return Finding("no_card", f"the card cannot be opened: {first_line(error)}")
        if card is None:
            return Finding("no_card", "PyTorch sees no card", near=False)
        return _fits(engine, card)

    def _missing(self, engine: EngineName) -> str:
        try:
            require_weights(engine, self.models)
        except AvatarError as error:
            return f"{error.message} {error.hint}".rstrip(". ")
        return ""


def _fits(engine: EngineName, card: Card) -> Finding:
    minimum = ENGINE_NEEDS[engine].compute
    if card.compute < minimum:
        problem = (
            f"{card.name} is of compute capability {card.compute / 10:.1f}, {minimum / 10:.1f} is needed"
        )
        return Finding("card_too_old", problem)
    needed = min_mib(engine)
    if card.budget_mib < needed:
        ours = "" if card.lease_mib is None else f", of which {card.lease_mib} are ours"
        return Finding(
            "too_little_memory",
            f"it needs {needed} MiB of the card, and {card.budget_mib} of {card.total_mib} MiB"
            f" can be had{ours}",
        )
    return Finding("available")


@dataclass(frozen=True, slots=True)
class Chosen:
    """asked: what the spec names. why_not: of each better engine, why it was not taken. near: a card is
    there, so that people could have had more.
    """

    engine: EngineName
    asked: str = "auto"
    why_not: tuple[str, ...] = ()
    near: bool = False


def choose(face: Face, machine: Machine | None = None) -> Chosen:
    """A named engine is taken as it is: what it lacks is an error when it is opened."""
    if isinstance(face, RigFace):
        return Chosen("rig", "rig")
    if face.engine != "auto":
        return Chosen(face.engine, face.engine)
    machine = machine or Machine()
    why_not: list[str] = []
    near = False
    for engine in BETTER[face.kind]:
        found = machine.finding(engine)
        if found.state == "available":
            return Chosen(engine, "auto", tuple(why_not), near)
        near = near or found.near
        why_not.append(f"{engine}: {found.sentence}.")
    return Chosen(without_card(face), "auto", tuple(why_not), near)
