"""REST of personas, and the older video-studio calls on them."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, status
from fastapi.responses import FileResponse, Response

from policy import Principal
from studio.consents.disclosure import redact_persona
from studio.downloads import ConditionalDep
from studio.guards import (
    CreatePersonas,
    CreateRenders,
    DeletePersonas,
    ReadPersonas,
    ReadRenders,
    UpdatePersonas,
)
from studio.people.schemas import ErasePlan
from studio.personas.pictures import image_url, version_of
from studio.personas.schemas import (
    CreatedPersonaView,
    Persona,
    PersonaChange,
    PersonaDraft,
    PersonaEntry,
    PersonaHealth,
    PersonaStatus,
    PersonaText,
    PersonaValidity,
    PersonaView,
    PortraitCheck,
    PortraitPreviewDraft,
    PortraitReport,
    VrmCheck,
)
from studio.personas.video_studio import StudioJob, StudioOrder, job_of, job_of_order, request_of
from studio.personas.vrm import VrmReport
from studio.renders.service import render_not_found
from studio.renditions.answer import WidthQuery, thumbnail_answer
from studio.thumbnails.service import ThumbnailWidth
from studio.wiring import StudioDep

router = APIRouter(prefix="/api/personas", tags=["personas"])


@router.get("")
async def list_personas(studio: StudioDep, principal: ReadPersonas) -> list[PersonaEntry]:
    """Every file; one that cannot be used is listed with line, field and fault."""
    return [
        entry.model_copy(
            update={
                "persona": entry.persona and redact_persona(principal, entry.persona),
                "imageUrl": entry.persona and image_url(entry.persona),
            }
        )
        for entry in studio.library.entries()
    ]


@router.post("", status_code=status.HTTP_201_CREATED)
async def create_persona(
    draft: PersonaDraft, studio: StudioDep, principal: CreatePersonas
) -> CreatedPersonaView:
    """From an uploaded photo, motion video or VRM avatar; measuring a portrait takes seconds."""
    created = await studio.personas.create(draft)
    return CreatedPersonaView(persona=_view(principal, created.persona), warnings=created.warnings)


@router.post("/check")
async def check_portrait(request: PortraitCheck, studio: StudioDep, _: CreatePersonas) -> PortraitReport:
    """Says what could be better in a photo before a persona is created from it; takes seconds, and keeps
    nothing.
    """
    return await studio.personas.check(request)


@router.post("/check-avatar")
async def check_avatar(request: VrmCheck, studio: StudioDep, _: CreatePersonas) -> VrmReport:
    """Returns what a VRM file holds and what its licence allows, before a persona is created from it."""
    return await studio.personas.check_avatar(request)


@router.post(
    "/preview",
    response_class=Response,
    responses={200: {"content": {"video/mp4": {}}}},
)
async def preview_portrait(request: PortraitPreviewDraft, studio: StudioDep, _: CreatePersonas) -> Response:
    """Returns the photo in motion, speaking, before a persona is created from it: a small MP4, made in
    seconds and stored nowhere.
    """
    return Response(await studio.portrait_previews.draw(request), media_type="video/mp4")


@router.get("/{persona_id}")
async def get_persona(persona_id: str, studio: StudioDep, principal: ReadPersonas) -> PersonaView:
    """Returns the persona. Clients without `consent:read` see only that a consent is on record."""
    return _view(principal, studio.library.get(persona_id))


@router.get("/{persona_id}/image", response_class=FileResponse)
async def persona_image(
    persona_id: str,
    studio: StudioDep,
    _: ReadPersonas,
    condition: ConditionalDep,
    width: WidthQuery = ThumbnailWidth.MEDIUM,
) -> Response:
    """Its face as a WebP: of its photo, or drawn once by the worker, which takes seconds."""
    thumbnail = await studio.persona_pictures.open(persona_id, width)
    current = version_of(studio.library.get(persona_id))
    return thumbnail_answer(condition, thumbnail, current)


@router.get(
    "/{persona_id}/model",
    response_class=FileResponse,
    responses={200: {"content": {"model/gltf-binary": {}}}},
)
async def persona_model(
    persona_id: str, studio: StudioDep, _: ReadPersonas, condition: ConditionalDep
) -> Response:
    """The file of a VRM avatar, which pages draw. `v` is how its SHA-256 begins."""
    model, path = await studio.personas.open_avatar(persona_id)
    sha256 = model.sha256 or ""
    return condition.file((sha256, path), f"{persona_id}.vrm", model.media_type or "", sha256)


@router.get("/{persona_id}/status")
async def persona_status(persona_id: str, studio: StudioDep, _: ReadPersonas) -> PersonaStatus:
    """Its file: `ready`, `outdated` (broken by a change, the last good one stands), `broken`."""
    return studio.library.status(persona_id)


@router.post("/{persona_id}/reload")
async def reload_persona(persona_id: str, studio: StudioDep, _: UpdatePersonas) -> PersonaStatus:
    """Reads the file again at once. Files that change are read again by themselves."""
    # In a thread: it reads and parses files.
    return await asyncio.to_thread(studio.library.reload, persona_id)


@router.post("/{persona_id}/validate")
async def validate_persona(
    persona_id: str, studio: StudioDep, _: ReadPersonas, draft: PersonaText | None = None
) -> PersonaValidity:
    """All that is wrong with the file, with line and column; with `yaml`, of that text instead. Nothing is
    saved.
    """
    status = studio.library.status(persona_id)
    if draft is None:
        return PersonaValidity(valid=status.error is None, faults=status.faults)
    return await studio.persona_validation.validate(draft.yaml, status.file)


@router.get("/{persona_id}/health")
async def persona_health(persona_id: str, studio: StudioDep, _: ReadPersonas) -> PersonaHealth:
    """Checks whether a video or an answer with it can be made now: file, media, consent, voice."""
    return await studio.persona_health.of(persona_id)


@router.patch("/{persona_id}")
async def change_persona(
    persona_id: str, change: PersonaChange, studio: StudioDep, principal: UpdatePersonas
) -> PersonaView:
    """Name, words, voice and style of a persona of your own; the next video has them."""
    return _view(principal, await studio.personas.update(persona_id, change))


@router.delete("/{persona_id}")
async def delete_persona(
    persona_id: str, studio: StudioDep, principal: DeletePersonas, dry_run: bool = False
) -> ErasePlan:
    """With the face, the voice and every file made from them. `dry_run` only lists it."""
    return await studio.people.erase_persona(persona_id, by=principal.name, dry_run=dry_run)


@router.post("/{persona_id}/video-studio", status_code=status.HTTP_202_ACCEPTED)
async def start_video(
    persona_id: str, order: StudioOrder, studio: StudioDep, principal: CreateRenders
) -> StudioJob:
    """A video of this persona saying a script, `duration` seconds long by pace and pauses that sound natural;
    `notices` say when it cannot be.
    """
    persona = studio.library.get(persona_id)
    view = await studio.renders.create(request_of(persona, order), requested_by=principal.name)
    return job_of_order(view, order)


@router.get("/{persona_id}/video-studio/{job_id}")
async def get_video(
    persona_id: str, job_id: str, studio: StudioDep, _: ReadRenders, result: bool = False
) -> StudioJob:
    """Returns the progress; with `?result=true` also the files. 404 for a video of other personas."""
    detail = await studio.renders.detail(job_id)
    if persona_id not in detail.personas:
        raise render_not_found(job_id)
    return job_of(detail, with_result=result)


def _view(principal: Principal, persona: Persona) -> PersonaView:
    return PersonaView(**dict(redact_persona(principal, persona)), imageUrl=image_url(persona))
