"""REST of scenes, below their project."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, status
from fastapi.responses import Response

from soundstage.moments import Moment
from soundstage.views import read_view
from studio.downloads import Conditional, content_answer
from studio.guards import CreateRenders, CreateScenes, DeleteScenes, ReadScenes, UpdateScenes
from studio.scenes.schemas import SceneDraft, SceneOrder, SceneSpeechView, SceneView
from studio.wiring import StudioDep

router = APIRouter(prefix="/api/projects/{ref}/scenes", tags=["scenes"])


@router.get("")
async def list_scenes(ref: str, studio: StudioDep, _: ReadScenes) -> list[SceneView]:
    """In their order."""
    return await studio.scenes.list(ref)


@router.post("", status_code=status.HTTP_201_CREATED)
async def create_scene(ref: str, draft: SceneDraft, studio: StudioDep, _: CreateScenes) -> SceneView:
    return await studio.scenes.create(ref, draft)


@router.put("/order")
async def reorder_scenes(ref: str, order: SceneOrder, studio: StudioDep, _: UpdateScenes) -> list[SceneView]:
    return list(await studio.scenes.reorder(ref, order.scenes))


@router.get("/{scene_id}")
async def get_scene(ref: str, scene_id: str, studio: StudioDep, _: ReadScenes) -> SceneView:
    return await studio.scenes.get(ref, scene_id)


@router.get("/{scene_id}/still", response_class=Response, responses={200: {"content": {"image/png": {}}}})
async def scene_still(
    ref: str,
    scene_id: str,
    request: Request,
    studio: StudioDep,
    _: ReadScenes,
    word: Annotated[int, Query(ge=0, le=100_000, description="the word that is said then, from 0")] = 0,
) -> Response:
    """Returns a small picture of the scene as its film will show it shortly after a word has begun. Voices of
    services are not asked: the times are those of a built-in voice.
    """
    still = await studio.stills.open(ref, scene_id, word)
    answer = content_answer(still.png, media_type="image/png", sha256=still.key)
    return Conditional(request).answer(answer, still.key)


@router.get("/{scene_id}/speech")
async def scene_speech(ref: str, scene_id: str, studio: StudioDep, _: CreateRenders) -> SceneSpeechView:
    """Speaks the scene as its film will: times of its words and loudness, and where its sound is. It stays
    in memory for a while; the same words in the same voice are not spoken anew.
    """
    key, spoken = await studio.scene_speech.open(ref, scene_id)
    sound = f"/api/projects/{ref}/scenes/{scene_id}/speech/{key.removeprefix('sha256:')}.wav"
    return read_view(SceneSpeechView, spoken.sheet, key=key, sound=sound)


@router.get(
    "/{scene_id}/speech/{digest}.wav",
    response_class=Response,
    responses={200: {"content": {"audio/wav": {}}}},
)
async def scene_sound(
    ref: str,
    scene_id: str,
    digest: Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")],
    studio: StudioDep,
    _: CreateRenders,
) -> Response:
    """Returns the sound that `…/speech` named, 16-bit mono."""
    await studio.scenes.get(ref, scene_id)
    sound = studio.scene_speech.sound(scene_id, f"sha256:{digest}")
    headers = {"Cache-Control": "private, max-age=600, immutable", "X-Content-Type-Options": "nosniff"}
    return Response(sound, media_type="audio/wav", headers=headers)


@router.patch("/{scene_id}")
async def change_scene(
    ref: str,
    scene_id: str,
    change: SceneDraft,
    studio: StudioDep,
    _: UpdateScenes,
    unchanged_since: Moment | None = None,
) -> SceneView:
    """Only what is given changes. With `unchanged_since`, the `updated_at` that the client has read, a scene
    that another client has changed since is refused with 409.
    """
    return await studio.scenes.change(ref, scene_id, change, unchanged_since=unchanged_since)


@router.delete("/{scene_id}", status_code=status.HTTP_204_NO_CONTENT)
async def delete_scene(ref: str, scene_id: str, studio: StudioDep, _: DeleteScenes) -> None:
    await studio.scenes.delete(ref, scene_id)
