"""LivePortrait: a portrait moved by another face, by a motion template, or by the control track of a speech.

The networks need torch (the worker's extra `gpu`); crop, motion arithmetic and templates do not.
"""

from __future__ import annotations

from avatar.engines.base import EngineInfo

INFO = EngineInfo(
    name="liveportrait",
    version="1",
    licence="MIT (weights of KwaiVGI/LivePortrait, the operator's)",
    vram_mib=2048,
    gpus=1,
    inputs=("photo", "video", "driving video", "motion template", "control track"),
    whole_picture=True,
)
"""The facts that the engine declares; read where torch is not installed, too."""
