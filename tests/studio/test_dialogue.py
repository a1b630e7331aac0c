"""Scenes of several speakers: how personas become speakers, and that consents and cards count for all."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from avatar.spec import RenderSpec

from farm.needs import Needs
from policy import Principal
from soundstage.errors import SoundstageError
from studio.consents.disclosure import NOT_SHOWN, redact_spec
from studio.consents.schemas import ConsentDraft
from studio.personas.library import PersonaLibrary
from studio.projects.schemas import Look, ProjectDraft
from studio.renders.schemas import RenderRequest
from studio.renders.specs import spec_of_project
from studio.scenes.schemas import SceneBody, SceneDraft

WORKER = Path(__file__).parents[2] / "avatar" / ".venv" / "bin" / "avatar"
VIEWER = Principal(id="key_1", name="v", kind="key", role="viewer")
SCRIPT = "Good morning, Mei. [speaker mei] Good morning."
MEI = {
    "id": "mei",
    "name": "Mei",
    "face": {"kind": "rig", "character": "vera"},
    "voice": {"kind": "flite", "voice": "rms"},
    "style": {"mood": "warm", "pronunciation": {"Mei": "may"}},
    "requirements": {"memory_mib": 4000},
}


@pytest.fixture
def library(tmp_path: Path) -> PersonaLibrary:
    shipped = tmp_path / "personas"
    shipped.mkdir()
    (shipped / "mei.yaml").write_text(yaml.safe_dump(MEI))
    (shipped / "nova.yaml").write_text(
        yaml.safe_dump({"id": "nova", "name": "Nova", "face": {"kind": "rig"}})
    )
    return PersonaLibrary(shipped, tmp_path / "own")


def body(**more: Any) -> SceneBody:
    return SceneBody.model_validate({"script": SCRIPT, "speakers": [{"persona": "mei"}], **more})


def spec_of(library: PersonaLibrary, scene: SceneBody) -> RenderSpec:
    return spec_of_project("Talk", Look(), [("scn_1", "", scene)], library)


def test_a_persona_becomes_a_speaker_with_its_own_face_voice_and_mood(library: PersonaLibrary) -> None:
    [scene] = spec_of(library, body()).scenes
    [mei] = scene.speakers
    assert (mei.name, mei.face.character, mei.voice.voice, mei.mood) == ("mei", "vera", "rms", "warm")
    assert scene.face.character == "nova" and scene.pronunciation == {"Mei": "may"}
    assert scene.requirements.memory_mib == 4000
    place = {"box": {"x": 0.5, "width": 0.5}}
    changed = body(speakers=[{"persona": "mei", "mood": "sad", "layout": place}])
    [mei] = spec_of(library, changed).scenes[0].speakers
    assert (mei.mood, mei.layout.box.x) == ("sad", 0.5)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"speakers": [{"persona": "nobody"}]}, "persona.not_found"),
        ({"speakers": []}, "spec.invalid"),
        ({"speakers": [{"persona": "mei"}, {"persona": "mei"}]}, "spec.invalid"),
        ({"duration_ms": 4000}, "spec.invalid"),
    ],
)
def test_speakers_that_do_not_fit_are_refused(
    library: PersonaLibrary, change: dict[str, Any], code: str
) -> None:
    with pytest.raises(SoundstageError) as caught:
        spec_of(library, body(**change))
    assert caught.value.code == code


def test_a_worker_needs_a_card_for_all_faces(library: PersonaLibrary) -> None:
    [scene] = spec_of(library, body()).scenes
    assert Needs.of_scene(scene).gpus == 0
    photo = {"kind": "photo", "image": {"sha256": "sha256:" + "0" * 64}, "engine": "liveportrait"}
    consent = {"id": "cns_1", "person": "Mei Lin", "granted_at": "2026-01-01", "purpose": "tests"}
    faces = {"speakers": [{**scene.speakers[0].model_dump(), "face": {**photo, "consent": consent}}]}
    changed = type(scene).model_validate({**scene.model_dump(), **faces})
    assert (Needs.of_scene(changed).gpus, Needs.of_scene(changed).vram_mib) == (1, 2048)
    shown = redact_spec(VIEWER, RenderSpec(scenes=(changed,)))
    assert shown.scenes[0].speakers[0].face.consent.person == NOT_SHOWN


async def test_a_revoked_consent_of_the_second_speaker_stops_the_video(drawing: Any, settings: Any) -> None:
    studio = drawing(sys.executable)
    consent = await studio.consents.record(
        ConsentDraft.model_validate({"person": "Mei Lin", "purpose": "tests", "granted_at": "2026-01-01"})
    )
    stored = {"id": consent.id, "person": "x", "granted_at": "2026-01-01", "purpose": "x"}
    voice = {"kind": "piper", "voice": "en_US-mei", "cloned": True, "consent": stored}
    (settings.personas_dir / "mei.yaml").write_text(yaml.safe_dump({**MEI, "voice": voice}))
    project = await studio.projects.create(ProjectDraft(title="Talk", persona="nova"))
    draft = SceneDraft.model_validate({"script": SCRIPT, "speakers": [{"persona": "mei"}]})
    await studio.scenes.create(project.slug, draft)
    render = await studio.renders.create(RenderRequest(project=project.slug), requested_by="tests")
    assert render.personas == ["nova", "mei"]
    await studio.consents.revoke(consent.id)
    with pytest.raises(SoundstageError) as caught:
        await studio.renders.create(RenderRequest(project=project.slug), requested_by="tests")
    assert caught.value.code == "consent.revoked"


async def test_a_conversation_is_drawn_and_spoken_while_one_edits(drawing: Any) -> None:
    assert os.access(WORKER, os.X_OK), "the worker is not installed: run `make setup`"
    studio = drawing(str(WORKER))
    project = await studio.projects.create(ProjectDraft(title="Talk", persona="nova"))
    draft = SceneDraft.model_validate(
        {
            "script": "Hello. [speaker nova-2] Yes. [speaker host] Bye.",
            "speakers": [],
        }
    )
    scene = await studio.scenes.create(project.slug, draft)
    with pytest.raises(SoundstageError) as caught:
        await studio.scene_speech.open(project.slug, scene.id)
    assert caught.value.code == "spec.invalid"
    talk = {"script": "Hello. [speaker nova] Yes. [speaker host] Bye.", "speakers": [{"persona": "nova"}]}
    await studio.scenes.change(project.slug, scene.id, SceneDraft.model_validate(talk))
    _, spoken = await studio.scene_speech.open(project.slug, scene.id)
    assert [word.text for word in spoken.sheet.words] == ["Hello.", "Yes.", "Bye."]
    still = await studio.stills.open(project.slug, scene.id, 1)
    assert still.png.startswith(b"\x89PNG")
