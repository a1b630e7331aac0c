"""The engine is opened with the operator's files, and as the options of a command say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch: scripts/torch_environment, then `make test`")
pytestmark = pytest.mark.torch

from avatar.engines.latentsync import engine, loading  # noqa: E402
from avatar.pipeline.lipsync.latentsync import ModelStore, MouthOptions, open_latentsync  # noqa: E402


def test_options_reach_files_networks_and_sampler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    opened: list[Any] = []
    monkeypatch.setattr(ModelStore, "require", lambda _, role: tmp_path / role)
    monkeypatch.setattr(loading, "load_networks", lambda files, ways: (files, ways))
    monkeypatch.setattr(engine, "LatentSync", lambda *arguments, **_: opened.append(arguments))
    sampler = {"steps": 8, "guidance": 2.5, "reuse": 2, "side_px": 256}
    open_latentsync(MouthOptions(**sampler, precision="fp32", compile=True, models=tmp_path))
    [((files, loaded_for), ways, settings)] = opened
    assert files.unet == tmp_path / "latentsync.unet" and loaded_for is ways
    assert (ways.compile, ways.dtype) == (True, torch.float32)
    assert {name: getattr(settings, name) for name in sampler} == sampler
