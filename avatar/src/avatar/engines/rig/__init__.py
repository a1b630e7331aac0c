"""Drawn presenters: vector characters of our own, rigged. The engine registry opens them by name."""

from __future__ import annotations

from avatar.engines.base import Reach
from avatar.engines.rig.characters import load_character
from avatar.engines.rig.engine import RigEngine
from avatar.engines.rig.maker.build import build_character
from avatar.spec.design import Design

__all__ = ["RigEngine", "load_character", "open_rig"]


def open_rig(
    character: str | Design, size: tuple[int, int], fps: int, alpha: bool, reach: Reach | None = None
) -> RigEngine:
    """The engine for a drawn character by its name or its design, `size` = (width, height) in pixels.

    `alpha=False` draws it in its own studio, `alpha=True` alone, as BGRA with straight alpha.
    Raises InvalidInput `face.unknown_character`.
    """
    if isinstance(character, Design):
        return RigEngine(build_character(character), size, alpha, reach)
    return RigEngine(load_character(character), size, alpha, reach)
