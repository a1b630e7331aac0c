"""Resource requirements of a scene: declared for each engine, raised by requests. The studio
puts it into the tasks that it gives to a farm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

from pydantic import Field

from avatar.spec.base import SpecModel
from avatar.spec.persona import Face, RigFace

EngineName = Literal[
    "rig", "mesh", "motion", "liveportrait", "latentsync", "liveportrait+latentsync"
]  # fmt: skip

MAX_GPUS = 16
MAX_MIB = 1 << 20


class Requirements(SpecModel):
    """Requirements on a farm's node beyond what the engine declares. They decide where a scene is made and
    never how, so it is no part of the scene's hash; a worker that runs alone takes what its machine has.
    """

    gpus: int = Field(default=0, ge=0, le=MAX_GPUS, description="cards; 0: as many as the engine declares")
    vram_mib: int = Field(
        default=0, ge=0, le=MAX_MIB, description="memory of each card; asks for one card if for none else"
    )
    memory_mib: int = Field(default=0, ge=0, le=MAX_MIB, description="memory of the node for this scene")

    def raise_to(self, other: Requirements) -> Requirements:
        """The greater of both in everything."""
        return Requirements(
            gpus=max(self.gpus, other.gpus),
            vram_mib=max(self.vram_mib, other.vram_mib),
            memory_mib=max(self.memory_mib, other.memory_mib),
        )


NO_REQUIREMENTS = Requirements()


@dataclass(frozen=True, slots=True)
class EngineNeeds:
    """`gpus` cards of at least `vram_mib` each (0: none), and `memory_mib` of the node.

    compute: the least compute capability of the cards, ten times what NVIDIA writes (75: 7.5, Turing).
    """

    engine: str
    gpus: int = 0
    vram_mib: int = 0
    memory_mib: int = 1024
    compute: int = 0

    def raise_to(self, requested: Requirements) -> EngineNeeds:
        """Never less than the engine declares."""
        vram_mib = max(self.vram_mib, requested.vram_mib)
        gpus = max(self.gpus, requested.gpus, 1 if vram_mib else 0)
        memory_mib = max(self.memory_mib, requested.memory_mib)
        return EngineNeeds(self.engine, gpus, vram_mib, memory_mib, self.compute)


TURING = 75
"""The oldest cards that today's PyTorch is built for."""

ENGINE_NEEDS: Mapping[EngineName, EngineNeeds] = MappingProxyType(
    {
        "rig": EngineNeeds("rig"),
        "mesh": EngineNeeds("mesh.photo"),
        "motion": EngineNeeds("motion", memory_mib=2048),
        "liveportrait": EngineNeeds("liveportrait", 1, 2048, 6144, TURING),
        "latentsync": EngineNeeds("latentsync", 1, 8000, 12_288, TURING),
        "liveportrait+latentsync": EngineNeeds("liveportrait+latentsync", 1, 8000, 12_288, TURING),
    }
)
"""By the name of the engine. Here and not in the engines, because the control side reads it and cannot load
them."""


def without_card(face: Face) -> EngineName:
    """The engine that draws this face on any machine."""
    if isinstance(face, RigFace):
        return "rig"
    return "mesh" if face.kind == "photo" else "motion"


BETTER: Mapping[str, tuple[EngineName, ...]] = MappingProxyType(
    {"photo": ("liveportrait+latentsync", "liveportrait"), "video": ("latentsync",)}
)
"""By kind of face what `auto` tries, the best first. LivePortrait on a video is taken only when it is named:
it moves the lips alone, as the engine without a card does."""


def needs_of(face: Face, requested: Requirements = NO_REQUIREMENTS) -> EngineNeeds:
    """Returns the requirements of this face's engine, or those requested where they are greater.

    With `auto` no card is asked for: the best engine is chosen where the scene is made. Who wants a card for
    it says so in the requirements, and gets what the best engine needs beside the card: its main memory and
    its compute capability.
    """
    if isinstance(face, RigFace):
        return ENGINE_NEEDS["rig"].raise_to(requested)
    if face.engine != "auto":
        return ENGINE_NEEDS[face.engine].raise_to(requested)
    plain = ENGINE_NEEDS[without_card(face)].raise_to(requested)
    if plain.gpus == 0:
        return plain
    best = ENGINE_NEEDS[BETTER[face.kind][0]]
    return replace(
        plain,
        memory_mib=max(plain.memory_mib, best.memory_mib),
        compute=max(plain.compute, best.compute),
    )


def needs_of_all(faces: Sequence[Face], requested: Requirements = NO_REQUIREMENTS) -> EngineNeeds:
    """Returns the requirements of engines that draw these faces beside each other: the first's name, the most
    demanding card and node, and the memory of all on it.
    """
    first, *others = faces or (RigFace(),)
    found = [needs_of(first, requested), *map(needs_of, others)]
    if len(found) == 1:
        return found[0]
    hardest = max(found, key=lambda one: (one.gpus, one.vram_mib, one.memory_mib))
    beside = [one for one in found if one is not hardest]
    return replace(
        hardest,
        vram_mib=hardest.vram_mib + sum(one.vram_mib for one in beside if one.gpus),
        memory_mib=hardest.memory_mib + sum(one.memory_mib for one in beside),
        compute=max(one.compute for one in found),
    )
