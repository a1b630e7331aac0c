"""The facts that the chain of both engines declares; read where torch is not installed, too."""

from __future__ import annotations

from avatar.engines.base import EngineInfo
from avatar.engines.latentsync.info import INFO as MOUTH
from avatar.engines.liveportrait.info import INFO as PORTRAIT

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
