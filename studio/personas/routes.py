"""REST of personas, and the older video-studio calls on them."""

from __future__ import annotations

from fastapi import APIRouter, status

from studio.consents.disclosure import shown_to
from studio.guards import (
    CreatePersonas,
    CreateRenders,
    DeletePersonas,
    ReadPersonas,
    ReadRenders,
    UpdatePersonas,
)
from studio.people.schemas import ErasePlan
from studio.personas.schemas import Persona, PersonaChange, PersonaDraft, PersonaEntry, PersonaMade
from studio.personas.video_studio import StudioJob, StudioOrder, job_of, request_of
from studio.wiring import StudioDep

router = APIRouter(prefix="/api/personas", tags=["personas"])


@router.get("")
async def list_personas(studio: StudioDep, principal: ReadPersonas) -> list[PersonaEntry]:
    """Every file; one that cannot be used is listed with line, field and fault."""
    return [
        entry.model_copy(update={"persona": entry.persona and shown_to(principal, entry.persona)})
        for entry in studio.personas.list()
    ]


@router.post("", status_code=status.HTTP_201_CREATED)
async def create_persona(draft: PersonaDraft, studio: StudioDep, principal: CreatePersonas) -> PersonaMade:
    """From an uploaded photo or motion video; measuring the portrait takes seconds."""
    made = await studio.personas.create(draft)
    return made.model_copy(update={"persona": shown_to(principal, made.persona)})


@router.get("/{persona_id}")
async def get_persona(persona_id: str, studio: StudioDep, principal: ReadPersonas) -> Persona:
    """Who agreed to what is shown only to those who may read consents; others see that one is on record."""
    return shown_to(principal, studio.personas.get(persona_id))


@router.patch("/{persona_id}")
async def change_persona(
    persona_id: str, change: PersonaChange, studio: StudioDep, principal: UpdatePersonas
) -> Persona:
    """Name, words, voice and style of a persona of your own; the next video has them."""
    return shown_to(principal, await studio.personas.update(persona_id, change))


@router.delete("/{persona_id}")
async def delete_persona(
    persona_id: str, studio: StudioDep, _: DeletePersonas, dry_run: bool = False
) -> ErasePlan:
    """With the face, the voice and every file made from them. `dry_run` only lists it."""
    return await studio.people.erase_persona(persona_id, dry_run=dry_run)


@router.post("/{persona_id}/video-studio", status_code=status.HTTP_202_ACCEPTED)
async def start_video(
    persona_id: str, order: StudioOrder, studio: StudioDep, principal: CreateRenders
) -> StudioJob:
    """A video of this persona saying a script, about `duration` seconds long where the voice allows."""
    view = await studio.renders.create(request_of(persona_id, order), requested_by=principal.name)
    return job_of(view)


@router.get("/{persona_id}/video-studio/{job_id}")
async def get_video(
    persona_id: str, job_id: str, studio: StudioDep, _: ReadRenders, result: bool = False
) -> StudioJob:
    """How far it is; with `?result=true` also the files."""
    return job_of(await studio.renders.get(job_id), with_result=result)
