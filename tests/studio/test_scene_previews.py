"""Pictures of a scene at a word, and its sound, as its film will have them, while a person edits."""

from __future__ import annotations

import io
import os
import sys
import wave
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from soundstage.database.tenants import tenant_scope
from soundstage.errors import SoundstageError
from studio.projects.schemas import ProjectDraft
from studio.scene_previews import making, stills
from studio.scenes.schemas import SceneDraft
from studio.wiring import Studio

WORKER = Path(__file__).parents[2] / "avatar" / ".venv" / "bin" / "avatar"
TITLE = {
    "kind": "title",
    "title": "HIGH WATER",
    "start": {"at": "word", "word": "high"},
    "end": {"at": "word", "word": "day", "edge": "end"},
}
SCRIPT = "The moon pulls the sea. So high water comes twice a day."


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

    monkeypatch.setattr(studio.stills.previews.scheduler, "submit", fail)
    assert await studio.stills.open(project, scene, 6) == late


async def test_the_route_answers_with_a_picture_that_browsers_may_keep(
    client: Any, rooms: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, scene = await tides(rooms)

    async def open_still(*found: Any) -> Any:
        assert found == (project, scene, 3)
        return stills.Still("sha256:abc", b"\x89PNG")

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
    submit = studio.stills.previews.scheduler.submit

    async def count_calls(task: Any) -> Any:
        tried.append(task.id)
        return await submit(task)

    monkeypatch.setattr(studio.stills.previews.scheduler, "submit", count_calls)
    project, scene = await tides(studio)
    for _ in range(3):
        with pytest.raises(SoundstageError) as refused:
            await studio.stills.open(project, scene, 0)
        assert refused.value.status == 502
    assert len(tried) == 1 and await hashes(blobs) == set()

    slow = drawing(sys.executable, "-c", "import time; time.sleep(600)").stills
    monkeypatch.setattr(making, "WAIT_S", 0.0)
    monkeypatch.setattr(slow.previews._single_flight, "bounds", replace(making.BOUNDS, pending_of_tenant=1))
    for word, code in ((0, "rendition.not_ready"), (1, "rendition.busy")):
        with pytest.raises(SoundstageError) as refused:
            await slow.open(project, scene, word)
        assert refused.value.code == code
    await slow.previews.close()


def test_a_picture_asks_no_speech_service_and_is_small() -> None:
    from avatar.spec import Canvas, OpenAIVoice, RenderSpec, Scene

    voice = OpenAIVoice(base_url="http://speech.example/v1", voice="alloy")
    scene = Scene(id="a", script="Hello.", voice=voice)
    quick = stills._quick(RenderSpec(canvas=Canvas(width=1080, height=1920), scenes=(scene,)))
    assert quick.scenes[0].voice.kind == "flite"
    assert (quick.canvas.width, quick.canvas.height) == (360, 640)


@pytest.fixture
def speaking(drawing: Any) -> Studio:
    assert os.access(WORKER, os.X_OK), "the worker is not installed: run `make setup`"
    built: Studio = drawing(str(WORKER))
    return built


def count_tasks(speaking: Studio, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Returns the list into which the tasks of the workers come."""
    tasks: list[Any] = []
    submit = speaking.scene_speech.previews.scheduler.submit

    async def counting(task: Any) -> Any:
        tasks.append(task)
        return await submit(task)

    monkeypatch.setattr(speaking.scene_speech.previews.scheduler, "submit", counting)
    return tasks


async def test_words_have_times_inside_the_sound_and_nothing_is_stored(speaking: Studio, blobs: Any) -> None:
    project, scene = await tides(speaking)
    before = await hashes(blobs)
    key, spoken = await speaking.scene_speech.open(project, scene)
    words = spoken.sheet.words
    assert [word.text for word in words][:3] == ["The", "moon", "pulls"] and len(words) == 12
    assert all(one.end_ms <= next_.start_ms for one, next_ in pairwise(words))
    with wave.open(io.BytesIO(speaking.scene_speech.sound(scene, key))) as sound:
        assert (sound.getnchannels(), sound.getsampwidth()) == (1, 2)
        duration_ms = 1000 * sound.getnframes() / sound.getframerate()
    assert duration_ms == pytest.approx(spoken.sheet.duration_ms, abs=2) and words[-1].end_ms < duration_ms
    assert await hashes(blobs) == before


async def test_another_look_is_not_spoken_anew_other_words_and_another_mood_are(
    speaking: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, scene = await tides(speaking)
    tasks = count_tasks(speaking, monkeypatch)
    key, _ = await speaking.scene_speech.open(project, scene)
    look = {"overlays": [], "background": {"kind": "colour"}, "camera": {"framing": "close"}}
    await speaking.scenes.change(project, scene, SceneDraft.model_validate(look))
    assert (await speaking.scene_speech.open(project, scene))[0] == key and len(tasks) == 1
    keys = {key}
    for change in ({"mood": "sad"}, {"pronunciation": {"moon": "moan"}}, {"script": "The sun pulls, too."}):
        await speaking.scenes.change(project, scene, SceneDraft.model_validate(change))
        keys.add((await speaking.scene_speech.open(project, scene))[0])
    assert len(keys) == len(tasks) == 4


async def test_the_route_names_a_sound_that_another_tenant_does_not_get(
    client: Any, rooms: Any, speaking: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, scene = await tides(rooms)
    speech = speaking.scene_speech
    monkeypatch.setattr(type(rooms), "scene_speech", property(lambda self: speech))
    answer = (await client.get(f"/api/projects/{project}/scenes/{scene}/speech")).json()
    assert len(answer["words"]) == 12 and answer["words"][1]["text"] == "moon"
    assert len(answer["level"]) == pytest.approx(answer["duration_ms"] * answer["level_hz"] / 1000, abs=1)
    sound = await client.get(answer["sound"])
    assert (sound.headers["content-type"], sound.content[:4]) == ("audio/wav", b"RIFF")
    other = await client.get(answer["sound"].replace(answer["key"][7:], "0" * 64))
    assert (other.status_code, other.json()["code"]) == (404, "speech.gone")
    with tenant_scope("rival"), pytest.raises(SoundstageError) as refused:
        speech.sound(scene, answer["key"])
    assert refused.value.code == "speech.gone"


async def test_a_scene_without_words_and_a_missing_one_say_so(speaking: Studio) -> None:
    project, scene = await tides(speaking, script="", overlays=[])
    for name, code in ((scene, "scene.empty"), ("scn_1", "scene.not_found")):
        with pytest.raises(SoundstageError) as refused:
            await speaking.scene_speech.open(project, name)
        assert refused.value.code == code
