"""Faces drawn by networks on a card: which engine, which models are held, and the chain of both."""

from __future__ import annotations

from avatar.engines.base import EngineInfo
from avatar.engines.latentsync import INFO as MOUTH
from avatar.engines.liveportrait import INFO as PORTRAIT

INFO = EngineInfo(
    name="liveportrait+latentsync",
    version=f"{PORTRAIT.version}+{MOUTH.version}",
    licence=f"{PORTRAIT.licence}; {MOUTH.licence}",
    vram_mib=8000,
    gpus=1,
    inputs=("photo", "sound", "control track"),
    whole_picture=True,
    parts=(PORTRAIT, MOUTH),
)
"""The facts that the engine declares; read where torch is not installed, too."""
