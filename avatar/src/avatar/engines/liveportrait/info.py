"""The facts that LivePortrait declares; read where torch is not installed, too."""

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
