"""Says which values of a project's videos come from its brand kit; called by the route."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from soundstage.database import Database
from studio.brands.applying import Film, apply_brand
from studio.brands.schemas import BrandUse
from studio.brands.service import brand_of, kit_of, view_of
from studio.personas.library import PersonaLibrary
from studio.projects.models import Project
from studio.projects.repository import Projects
from studio.projects.schemas import Look
from studio.projects.service import project_of
from studio.scenes.repository import Scenes
from studio.scenes.schemas import SceneBody


@dataclass(frozen=True, slots=True)
class BrandUsage:
    db: Database
    library: PersonaLibrary

    async def read(self, project_ref: str) -> BrandUse:
        """Raises what a render would for a brand that is gone, or that has lost a file."""
        async with self.db.session() as session:
            project = await project_of(Projects(session), project_ref)
            film = await film_of(session, project, self.library)
            brand = None if film.look.brand is None else view_of(await brand_of(session, film.look.brand))
        return BrandUse(brand=brand, values=film.values)


async def film_of(session: AsyncSession, project: Project, library: PersonaLibrary) -> Film:
    """Returns what a video of the project is made of, with its brand. Raises `brand.not_found` and
    `brand.file_missing`.
    """
    scenes = [
        (row.id, row.title, SceneBody.model_validate(row.body))
        for row in await Scenes(session).of_project(project.id)
    ]
    look = Look.model_validate(project.look)
    film = Film(project.title, project.subtitle, look, scenes, music=look.music)
    if film.look.brand is None:
        return film
    kit = await kit_of(session, film.look.brand)
    return apply_brand(kit, film, {persona.id: persona for persona in library.list()})
