"""LatentSync 1.5 and 1.6: a person's own video is given the mouth of another sound.

Written from the published shapes, formulas and key names, so that the official checkpoints load with strict
keys. Only modules of this package import torch; nothing imports them before the engine is asked for.
"""

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
"""The facts that the engine declares; read where torch is not installed, too."""
