"""Checkpoints of both engines, so small that the verbs' own sizes of a face take a processor seconds."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

SHAPE = {"block_channels": (32, 32), "layers_per_block": 1}
VAE = {"block_out_channels": (32,) * 4, "layers_per_block": 1, "sample_size": 64}


def write_tiny(folder: Path) -> Path:
    """All files that both engines need, below `folder`."""
    import latentsync_cases as cases
    from avatar.engines.latentsync.shapes import UNetShape
    from avatar.engines.latentsync.vae import open_vae
    from small_checkpoints import save_checkpoints
    from small_networks import small_networks

    vae = open_vae(**VAE)
    cases.fill(vae, 3)
    unet = cases.our_unet(UNetShape(**SHAPE))  # type: ignore[arg-type]
    return save_checkpoints(folder, small_networks(), unet, cases.our_whisper(), vae)


def as_if_published(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes opened engines expect these small files; all else is as for users."""
    import avatar.engines.liveportrait.engine as portrait
    import torch
    from avatar.engines.latentsync import loading
    from avatar.engines.latentsync.shapes import UNetShape
    from small_networks import SMALL

    load: Any = partial(loading.load_networks, shape=UNetShape(**SHAPE), **VAE)  # type: ignore[arg-type]
    monkeypatch.setattr(loading, "load_networks", load)
    monkeypatch.setattr(portrait, "load_networks", partial(portrait.load_networks, sizes=SMALL))
    # Engines take all cores there are; networks this small only wait for each other then.
    torch.set_num_threads(1)
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)
