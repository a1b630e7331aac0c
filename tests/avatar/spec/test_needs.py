"""What engines and people say a scene needs of a machine."""

from __future__ import annotations

from typing import get_args

import pytest
from avatar.engines.registry import ENGINE_MODULES, engine_info
from avatar.spec import ENGINE_NEEDS, EngineNeeds, RenderSpec, Requirements
from avatar.spec.needs import FaceKind


@pytest.mark.parametrize("kind", get_args(FaceKind))
def test_what_is_declared_for_the_control_side_is_what_the_engine_says(kind: FaceKind) -> None:
    said, declared = engine_info(kind), ENGINE_NEEDS[kind]
    assert (said.name, said.gpus, said.vram_mib) == (declared.engine, declared.gpus, declared.vram_mib)


def test_every_engine_declares_its_needs() -> None:
    assert set(ENGINE_NEEDS) == set(ENGINE_MODULES)


def test_people_can_ask_for_more_and_never_for_less_than_the_engine() -> None:
    lips = EngineNeeds("lips", gpus=1, vram_mib=8192, memory_mib=4096)
    assert lips.raised(Requirements(vram_mib=16_384)) == EngineNeeds("lips", 1, 16_384, 4096)
    assert lips.raised(Requirements(gpus=1, vram_mib=1024, memory_mib=512)) == lips
    assert EngineNeeds("rig").raised(Requirements()) == EngineNeeds("rig")


def test_who_asks_for_gpu_memory_asks_for_a_card() -> None:
    assert EngineNeeds("rig").raised(Requirements(vram_mib=16_384)).gpus == 1


def test_where_a_scene_is_made_changes_nothing_of_what_is_made() -> None:
    plain = RenderSpec.model_validate({"scenes": [{"id": "one", "script": "Hello."}]})
    large = RenderSpec.model_validate(
        {"scenes": [{"id": "one", "script": "Hello.", "requirements": {"vram_mib": 16_384}}]}
    )
    assert plain.scene_hash("one") == large.scene_hash("one")
