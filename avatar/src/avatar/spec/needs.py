"""What making a scene needs of a machine: declared for each engine, raised by what people ask for. The studio
puts it into the tasks that it gives to a farm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from pydantic import Field

from avatar.spec.base import SpecModel

FaceKind = Literal["rig", "photo", "video"]

MAX_GPUS = 16
MAX_MIB = 1 << 20


class Requirements(SpecModel):
    """What a farm's node must have, beyond what the engine declares. It decides where a scene is made and
    never how, so it is no part of the scene's hash; a worker that runs alone takes what its machine has.
    """

    gpus: int = Field(default=0, ge=0, le=MAX_GPUS, description="cards; 0: as many as the engine declares")
    vram_mib: int = Field(
        default=0, ge=0, le=MAX_MIB, description="memory of each card; asks for one card if for none else"
    )
    memory_mib: int = Field(default=0, ge=0, le=MAX_MIB, description="memory of the node for this scene")

    def raised(self, other: Requirements) -> Requirements:
        """The greater of both in everything."""
        return Requirements(
            gpus=max(self.gpus, other.gpus),
            vram_mib=max(self.vram_mib, other.vram_mib),
            memory_mib=max(self.memory_mib, other.memory_mib),
        )


@dataclass(frozen=True, slots=True)
class EngineNeeds:
    """`gpus` cards of at least `vram_mib` each (0: none), and `memory_mib` of the node."""

    engine: str
    gpus: int = 0
    vram_mib: int = 0
    memory_mib: int = 1024

    def raised(self, asked: Requirements) -> EngineNeeds:
        """Never less than the engine declares."""
        vram_mib = max(self.vram_mib, asked.vram_mib)
        gpus = max(self.gpus, asked.gpus, 1 if vram_mib else 0)
        return EngineNeeds(self.engine, gpus, vram_mib, max(self.memory_mib, asked.memory_mib))


ENGINE_NEEDS: Mapping[FaceKind, EngineNeeds] = MappingProxyType(
    {
        "rig": EngineNeeds("rig"),
        "photo": EngineNeeds("mesh.photo"),
        "video": EngineNeeds("motion", memory_mib=2048),
    }
)
"""By kind of face. Here and not in the engines, because the control side reads it and cannot load them."""
