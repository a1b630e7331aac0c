"""Resource requirements of a scene, from engines and from requests."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from avatar.engines.registry import ENGINE_MODULES, engine_info
from avatar.spec import ENGINE_NEEDS, EngineName, EngineNeeds, RenderSpec, Requirements, needs_of


@pytest.mark.parametrize("name", get_args(EngineName))
def test_what_is_declared_for_the_control_side_is_what_the_engine_says(name: EngineName) -> None:
    info, declared = engine_info(name), ENGINE_NEEDS[name]
    assert (info.name, info.gpus, info.vram_mib) == (declared.engine, declared.gpus, declared.vram_mib)


def test_every_engine_declares_its_needs() -> None:
    assert set(ENGINE_NEEDS) == set(ENGINE_MODULES)


def face(**more: str) -> Any:
    consent = {"id": "c", "person": "A. Person", "granted_at": "2026-01-01", "purpose": "tests"}
    media = {"image": {"path": "a.png"}} if more["kind"] == "photo" else {"video": {"path": "a.mp4"}}
    scene = {"id": "one", "script": "Hello.", "face": {"consent": consent, **media, **more}}
    return RenderSpec.model_validate({"scenes": [scene]}).scenes[0].face


def test_a_face_that_names_an_engine_needs_what_that_engine_declares() -> None:
    assert needs_of(face(kind="photo", engine="liveportrait+latentsync")).vram_mib == 8000
    assert needs_of(face(kind="video", engine="latentsync")).compute == 75
    assert needs_of(face(kind="photo", engine="mesh")) == ENGINE_NEEDS["mesh"]


def test_auto_asks_for_no_card_and_takes_one_that_people_ask_for() -> None:
    plain = needs_of(face(kind="photo"))
    assert plain.gpus == 0
    assert plain.raise_to(Requirements(gpus=1, vram_mib=8192)).gpus == 1


@pytest.mark.parametrize(("kind", "best"), [("photo", "liveportrait+latentsync"), ("video", "latentsync")])
@pytest.mark.parametrize("requested", [Requirements(gpus=1, vram_mib=8000), Requirements(gpus=1)])
def test_auto_with_a_card_gets_the_main_memory_that_the_best_engine_takes(
    kind: str, best: EngineName, requested: Requirements
) -> None:
    needs = needs_of(face(kind=kind), requested)
    assert (needs.memory_mib, needs.compute) == (ENGINE_NEEDS[best].memory_mib, ENGINE_NEEDS[best].compute)
    assert (needs.gpus, needs.vram_mib) == (1, requested.vram_mib)
    more = requested.model_copy(update={"memory_mib": 32_768})
    assert needs_of(face(kind=kind), more).memory_mib == 32_768
    assert needs_of(face(kind=kind, engine="mesh" if kind == "photo" else "motion"), requested).compute == 0


@pytest.mark.parametrize(("kind", "engine"), [("photo", "latentsync"), ("video", "mesh"), ("photo", "best")])
def test_an_engine_that_cannot_draw_the_face_is_refused(kind: str, engine: str) -> None:
    with pytest.raises(ValueError, match="engine"):
        face(kind=kind, engine=engine)


def test_people_can_ask_for_more_and_never_for_less_than_the_engine() -> None:
    lips = EngineNeeds("lips", gpus=1, vram_mib=8192, memory_mib=4096)
    assert lips.raise_to(Requirements(vram_mib=16_384)) == EngineNeeds("lips", 1, 16_384, 4096)
    assert lips.raise_to(Requirements(gpus=1, vram_mib=1024, memory_mib=512)) == lips
    assert EngineNeeds("rig").raise_to(Requirements()) == EngineNeeds("rig")


def test_who_asks_for_gpu_memory_asks_for_a_card() -> None:
    assert EngineNeeds("rig").raise_to(Requirements(vram_mib=16_384)).gpus == 1


def test_where_a_scene_is_made_changes_nothing_of_what_is_made() -> None:
    plain = RenderSpec.model_validate({"scenes": [{"id": "one", "script": "Hello."}]})
    large = RenderSpec.model_validate(
        {"scenes": [{"id": "one", "script": "Hello.", "requirements": {"vram_mib": 16_384}}]}
    )
    assert plain.scene_hash("one") == large.scene_hash("one")
