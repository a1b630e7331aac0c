"""Checkpoints of both engines under their published names and in the published layout, of small random
networks; and the worker's own command line that takes them for full ones: `small_checkpoints.py render …`.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / room) for room in ("latentsync", "liveportrait", "parity")]
sys.path.append(str(HERE.parents[2] / "avatar" / "src"))

STEPS, SIDE_PX = 2, 64


def write_checkpoints(folder: Path) -> Path:
    """All files that both engines need, below `folder`."""
    import latentsync_cases as cases
    from small_networks import small_networks

    return save_checkpoints(folder, small_networks(), cases.our_unet(), cases.our_whisper(), cases.our_vae())


def save_checkpoints(folder: Path, portrait: Any, unet: Any, whisper: Any, vae: Any) -> Path:
    """The same of networks of any size."""
    import torch
    from avatar.engines.liveportrait.engine import FILES
    from avatar.engines.weights.manifest import weight_file

    def save(content: Any, role: str) -> None:
        path = folder / weight_file(role).path
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(content, path)

    parts = {}
    for attribute, (role, part) in FILES.items():
        state = dict(getattr(portrait, attribute).state_dict())
        if part is None:
            save(state, role)
        else:
            parts[part] = {f"module.{key}": value for key, value in state.items()}
    save(parts, "liveportrait.retargeting")
    save({"global_step": 1, "state_dict": dict(unet.state_dict())}, "latentsync.unet")
    encoder = {f"encoder.{key}": value for key, value in whisper.state_dict().items()}
    save({"dims": {}, "model_state_dict": encoder}, "latentsync.whisper")
    path = folder / weight_file("latentsync.vae").path
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".safetensors":
        from safetensors.torch import save_file

        save_file({name: value.contiguous() for name, value in vae.state_dict().items()}, path)
    else:
        torch.save(dict(vae.state_dict()), path)
    return folder


def as_if_published(monkeypatch: Any = None) -> None:
    """From here on files of the small networks are what the engines expect, and faces are small; a render
    takes two steps, `lipsync --video` those of its options.
    """
    import avatar.engines.liveportrait.engine as portrait
    import latentsync_cases as cases
    import torch
    from avatar.engines.latentsync import loading
    from avatar.engines.latentsync.clip import Settings
    from avatar.engines.neural import models
    from avatar.pipeline.lipsync import latentsync as pipeline
    from small_networks import SMALL

    # Engines take all cores when they open. Threads of networks this small mostly wait for each other,
    # spinning, and on a busy machine that takes thirty times as long.
    torch.set_num_threads(1)
    settings = partial(Settings, steps=STEPS, side_px=SIDE_PX)
    opened = pipeline.open_latentsync
    mouth = partial(loading.load_networks, shape=cases.SMALL, **cases.SMALL_VAE)
    changes: dict[Any, Any] = {
        (torch, "set_num_threads"): lambda count: None,
        (portrait, "load_networks"): partial(portrait.load_networks, sizes=SMALL),
        (models, "load_networks"): mouth,
        (loading, "load_networks"): mouth,
        (pipeline, "open_latentsync"): lambda options: opened(replace(options, side_px=SIDE_PX)),
        (models, "mouth_settings"): lambda seed: settings(seed=models.PUBLISHED_SEED - 1 + seed),
    }
    for (module, name), value in changes.items():
        monkeypatch.setattr(module, name, value) if monkeypatch else setattr(module, name, value)


if __name__ == "__main__":
    # The folder of this file, which Python puts first, would hide packages of the same name.
    sys.path[:] = [path for path in sys.path if Path(path or ".").resolve() != HERE]
    if {"render", "segment", "preview", "lipsync", "reenact", "rehearse"} & set(sys.argv[1:2]):
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        as_if_published()
    from avatar.cli.main import main

    sys.exit(main(sys.argv[1:]))
