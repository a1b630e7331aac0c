"""What a render asks of a farm: from the engine, the persona, the spec and the request, whichever is most."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from avatar.spec import RenderSpec, Requirements

from farm.needs import Needs
from farm.tasks import SegmentTask
from studio.assets.schemas import AssetLabels
from studio.consents.schemas import ConsentDraft
from studio.personas.library import PersonaLibrary
from studio.renders.schemas import RenderRequest
from studio.renders.specs import raise_requirements, spec_of_script

JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(range(256)) * 8
SMALL = {"width": 320, "height": 180}
LARGE_CARD = {"gpus": 1, "vram_mib": 16_384}


@pytest.fixture
def submit_render(scheduler: Any, monkeypatch: pytest.MonkeyPatch) -> list[SegmentTask]:
    """All tasks that the studio has given to its scheduler."""
    seen: list[SegmentTask] = []
    submit = scheduler.submit

    async def note(task: SegmentTask) -> Any:
        seen.append(task)
        return await submit(task)

    monkeypatch.setattr(scheduler, "submit", note)
    return seen


async def test_each_scene_asks_for_what_it_needs_and_the_assembly_for_no_card(
    rooms: Any, submit_render: list[SegmentTask]
) -> None:
    scenes = [{"id": "light", "script": "a"}, {"id": "heavy", "script": "b", "requirements": LARGE_CARD}]
    spec = RenderSpec.model_validate({"canvas": SMALL, "scenes": scenes})
    view = await rooms.renders.create(RenderRequest(spec=spec))
    await rooms.renders.wait(view.id)
    needs = {task.scene_id or task.kind: task.needs for task in submit_render}
    assert needs["light"] == Needs(engine="rig")
    assert needs["heavy"] == Needs(engine="rig", gpus=1, vram_mib=16_384)
    assert needs["assemble"].gpus == 0


async def test_a_scene_whose_face_names_an_engine_on_a_card_asks_for_that_card(
    rooms: Any, submit_render: list[SegmentTask]
) -> None:
    async def photo() -> Any:
        yield JPEG

    stored = await rooms.assets.upload(photo(), AssetLabels(name="photo.jpg"))
    agreed = await rooms.consents.record(
        ConsentDraft(person="Grace H.", purpose="course videos", granted_at=date(2026, 1, 5))
    )
    consent = {"id": agreed.id, "person": "Grace H.", "granted_at": "2026-01-05", "purpose": "course videos"}
    plain = {"kind": "photo", "image": {"sha256": stored.sha256}, "consent": consent}
    named = {**plain, "engine": "liveportrait+latentsync"}
    scenes = [
        {"id": "auto", "script": "a", "face": plain},
        {"id": "chain", "script": "b", "face": named},
        {"id": "larger", "script": "c", "face": named, "requirements": {"vram_mib": 16_384}},
    ]
    spec = RenderSpec.model_validate({"canvas": SMALL, "scenes": scenes})
    view = await rooms.renders.create(RenderRequest(spec=spec))
    await rooms.renders.wait(view.id)
    needs = {task.scene_id or task.kind: task.needs for task in submit_render}
    chain = Needs("liveportrait+latentsync", 1, 8000, memory_mib=12_288, compute=75)
    assert needs["auto"] == Needs("mesh.photo")
    assert needs["chain"] == chain
    assert needs["larger"] == replace(chain, vram_mib=16_384)


async def test_a_request_asks_for_all_scenes_and_for_previews_too(
    client: Any, rooms: Any, submit_render: list[SegmentTask]
) -> None:
    body = {"script": "Hello.", "canvas": SMALL, "preview": True, "requirements": {"vram_mib": 16_384}}
    view = (await client.post("/api/renders", json=body)).json()
    await rooms.renders.wait(view["id"])
    assert [task.needs for task in submit_render] == [Needs(engine="rig", gpus=1, vram_mib=16_384)]
    detail = (await client.get(f"/api/renders/{view['id']}")).json()
    assert detail["spec"]["scenes"][0]["requirements"]["vram_mib"] == 16_384


@pytest.mark.parametrize(
    ("requests", "field"), [({"vram_mib": -1}, "vram_mib"), ({"gpus": 99}, "gpus"), ({"vram": 8}, "vram")]
)
async def test_a_wrong_requirement_is_named(client: Any, requests: dict[str, int], field: str) -> None:
    answer = await client.post("/api/renders", json={"script": "Hello.", "requirements": requests})
    assert answer.status_code == 422 and field in answer.text


def test_a_personas_requirements_go_into_its_scenes(tmp_path: Path) -> None:
    (tmp_path / "ada.yaml").write_text("id: ada\nname: Ada\nrequirements: {gpus: 1, vram_mib: 12288}\n")
    library = PersonaLibrary(tmp_path, tmp_path / "own")
    spec = spec_of_script(RenderRequest(script="Hello.", persona="ada"), library)
    assert spec.scenes[0].requirements == Requirements(gpus=1, vram_mib=12_288)
    more = raise_requirements(spec, Requirements(vram_mib=8192, memory_mib=4096))
    assert more.scenes[0].requirements == Requirements(gpus=1, vram_mib=12_288, memory_mib=4096)
