"""The facts that LatentSync declares; read where torch is not installed, too."""

from __future__ import annotations

from avatar.engines.base import EngineInfo

INFO = EngineInfo(
    name="latentsync",
    version="1.6",
    licence="OpenRAIL++-M (weights of ByteDance/LatentSync-1.6, the operator's)",
    vram_mib=8000,
    gpus=1,
    inputs=("video", "sound"),
    whole_picture=True,
)
