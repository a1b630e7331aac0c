"""Resource requirements of one run of the worker; engines declare them, schedulers ask for them."""

from __future__ import annotations

from dataclasses import dataclass

from avatar.spec import EngineNeeds, Face, Requirements, Scene, needs_of, needs_of_all


@dataclass(frozen=True, slots=True)
class Needs:
    """`gpus` cards of at least `vram_mib` memory each (0: none); `cpu_mhz` and `memory_mib` of its node.

    compute: the least compute capability of the cards, times ten; 0 for any.
    """

    engine: str = "cpu"
    gpus: int = 0
    vram_mib: int = 0
    cpu_mhz: int = 1000
    memory_mib: int = 1024
    compute: int = 0

    @classmethod
    def of(cls, face: Face, requirements: Requirements) -> Needs:
        """Returns what the engine behind this face declares, or what the request asks for where that is
        more.
        """
        return cls._declared(needs_of(face, requirements))

    @classmethod
    def of_scene(cls, scene: Scene) -> Needs:
        """Returns the same for all faces of a scene, which one worker draws."""
        return cls._declared(needs_of_all(scene.faces or (scene.face,), scene.requirements))

    @classmethod
    def _declared(cls, found: EngineNeeds) -> Needs:
        return cls(
            found.engine, found.gpus, found.vram_mib, memory_mib=found.memory_mib, compute=found.compute
        )

    def describe(self) -> str:
        """`1 GPU with 16 GiB` or `1000 MHz and 1024 MiB of memory`."""
        if self.gpus == 0:
            return f"{self.cpu_mhz} MHz and {self.memory_mib} MiB of memory"
        cards = "a GPU" if self.gpus == 1 else f"{self.gpus} GPUs"
        return f"{cards} with {self.vram_mib / 1024:g} GiB of memory"
