"""A small picture of a scene, as its film will show it when a word is said."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from farm.local import LocalOptions, LocalScheduler
from soundstage.database.tenants import tenant_scope
from soundstage.errors import SoundstageError
from studio.projects.schemas import ProjectDraft
from studio.scenes.schemas import SceneDraft
from studio.stills import service
from studio.wiring import Studio, build_studio, worker_cache

WORKER = Path(__file__).parents[2] / "avatar" / ".venv" / "bin" / "avatar"
TITLE = {
    "kind": "title",
    "title": "HIGH WATER",
    "start": {"at": "word", "word": "high"},
    "end": {"at": "word", "word": "day", "edge": "end"},
}
SCRIPT = "The moon pulls the sea. So high water comes twice a day."


@pytest.fixture
async def drawing(settings: Any, db: Any, events: Any, blobs: Any) -> AsyncIterator[Callable[..., Studio]]:
    """Studios whose worker is the given command."""
    schedulers: list[LocalScheduler] = []

    def build(*command: str) -> Studio:
        options = LocalOptions(command, settings.state_dir / "work", worker_cache(settings))
        schedulers.append(LocalScheduler(blobs, options))
        return build_studio(settings, db, events, blobs, schedulers[-1], worker_version="1.0")

    yield build
    for one in schedulers:
        await one.close()


async def tides(studio: Studio, **scene: Any) -> tuple[str, str]:
    """Returns a project and its scene."""
    project = await studio.projects.create(ProjectDraft(title="Tides", persona="nova"))
    draft = SceneDraft.model_validate({"script": SCRIPT, "overlays": [TITLE], **scene})
    return project.slug, (await studio.scenes.create(project.slug, draft)).id


def pixels(png: bytes) -> np.ndarray[Any, Any]:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


async def hashes(blobs: Any) -> set[str]:
    return {one.sha256 async for one in blobs.iterate()}


async def test_the_picture_at_a_word_shows_what_stands_on_it_and_nothing_is_stored(
    drawing: Any, blobs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert os.access(WORKER, os.X_OK), "the worker is not installed: run `make setup`"
    studio = drawing(str(WORKER))
    project, scene = await tides(studio)
    before = await hashes(blobs)
    early, late = [await studio.stills.open(project, scene, word) for word in (1, 6)]
    assert pixels(early.png).shape == (360, 640, 3)
    white = [(pixels(one.png).min(axis=2) > 230).sum() for one in (early, late)]
    assert white[1] > white[0] + 1000, "the title is there only where its word has been said"
    assert await hashes(blobs) == before

    async def fail(task: Any) -> Any:
        raise AssertionError("drawn again")

    monkeypatch.setattr(studio.stills.scheduler, "submit", fail)
    assert await studio.stills.open(project, scene, 6) == late


async def test_the_route_answers_with_a_picture_that_browsers_may_keep(
    client: Any, rooms: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, scene = await tides(rooms)

    async def open_still(*found: Any) -> Any:
        assert found == (project, scene, 3)
        return service.Still("sha256:abc", b"\x89PNG")

    monkeypatch.setattr(type(rooms.stills), "open", lambda self, *found: open_still(*found))
    path = f"/api/projects/{project}/scenes/{scene}/still?word=3"
    answer = await client.get(path)
    assert (answer.status_code, answer.headers["content-type"], answer.content) == (
        200,
        "image/png",
        b"\x89PNG",
    )
    again = await client.get(path, headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304
    assert (await client.get(path.replace("=3", "=-1"))).status_code == 422


@pytest.mark.parametrize(
    ("project", "scene", "code"),
    [("nowhere", "scn_1", "project.not_found"), ("tides", "scn_1", "scene.not_found")],
)
async def test_what_is_not_there_is_not_found(
    client: Any, rooms: Any, project: str, scene: str, code: str
) -> None:
    await tides(rooms)
    answer = await client.get(f"/api/projects/{project}/scenes/{scene}/still")
    assert (answer.status_code, answer.json()["code"]) == (404, code)


async def test_another_tenant_sees_no_picture(drawing: Any) -> None:
    studio = drawing(sys.executable, "-c", "raise SystemExit(3)")
    project, scene = await tides(studio)
    with tenant_scope("rival"), pytest.raises(SoundstageError) as refused:
        await studio.stills.open(project, scene, 0)
    assert refused.value.code == "project.not_found"


async def test_a_scene_without_words_says_so(drawing: Any) -> None:
    studio = drawing(str(WORKER))
    project, scene = await tides(studio, script="", overlays=[])
    with pytest.raises(SoundstageError) as refused:
        await studio.stills.open(project, scene, 0)
    assert refused.value.code == "scene.empty"


async def test_a_worker_that_fails_is_not_started_for_each_request_and_few_wait(
    drawing: Any, blobs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio, tried = drawing(sys.executable, "-c", "raise SystemExit(3)"), []
    submit = studio.stills.scheduler.submit

    async def count_calls(task: Any) -> Any:
        tried.append(task.id)
        return await submit(task)

    monkeypatch.setattr(studio.stills.scheduler, "submit", count_calls)
    project, scene = await tides(studio)
    for _ in range(3):
        with pytest.raises(SoundstageError) as refused:
            await studio.stills.open(project, scene, 0)
        assert refused.value.status == 502
    assert len(tried) == 1 and await hashes(blobs) == set()

    slow = drawing(sys.executable, "-c", "import time; time.sleep(600)").stills
    monkeypatch.setattr(service, "WAIT_S", 0.0)
    monkeypatch.setattr(slow._single_flight, "bounds", replace(service.BOUNDS, pending_of_tenant=1))
    for word, code in ((0, "rendition.not_ready"), (1, "rendition.busy")):
        with pytest.raises(SoundstageError) as refused:
            await slow.open(project, scene, word)
        assert refused.value.code == code
    await slow.close()


def test_a_picture_asks_no_speech_service_and_is_small() -> None:
    from avatar.spec import Canvas, OpenAIVoice, RenderSpec, Scene

    voice = OpenAIVoice(base_url="http://speech.example/v1", voice="alloy")
    scene = Scene(id="a", script="Hello.", voice=voice)
    quick = service._quick(RenderSpec(canvas=Canvas(width=1080, height=1920), scenes=(scene,)))
    assert quick.scenes[0].voice.kind == "flite"
    assert (quick.canvas.width, quick.canvas.height) == (360, 640)
