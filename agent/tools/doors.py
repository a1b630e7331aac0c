"""The services that tools may call; filled by the composition root."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from studio.assets.service import AssetService
from studio.personas.library import PersonaLibrary
from studio.personas.service import PersonaService
from studio.renders.service import RenderService


@dataclass(frozen=True, slots=True)
class StudioDoors:
    renders: RenderService
    assets: AssetService
    personas: PersonaLibrary
    persona_maker: PersonaService
    out_dir: Path
    """Where finished videos lie under people's names."""
