"""The worker's own command line on small random networks, as a process that can be stopped; run by the tests.

SMALL_WORKER_STEP_S slows every step down, so that a signal hits the middle of a chunk.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / room) for room in ("latentsync", "liveportrait", "parity")]


def small_latentsync(options: Any) -> Any:
    import latentsync_cases as cases
    import torch
    from avatar.engines.latentsync.clip import Settings
    from avatar.engines.latentsync.engine import LatentSync
    from avatar.engines.latentsync.loading import Networks
    from avatar.engines.latentsync.memory import Plan
    from synthetic_speaker import DotTracker

    networks = Networks(cases.our_unet(), cases.our_whisper(), cases.our_vae())
    networks.unet.forward_full = slow_down(networks.unet.forward_full)
    plan = Plan(torch.device("cpu"), torch.float32, split=False, faces=4)
    return LatentSync(networks, plan, Settings(steps=2, side_px=64, length=8, overlap=2), tracker=DotTracker)


def small_liveportrait(options: Any) -> Any:
    from small_networks import small_animator

    animator: Any = small_animator()
    animator.tensor_of = slow_down(animator.tensor_of)
    return animator


def slow_down(call: Any) -> Any:
    def slow(*arguments: Any) -> Any:
        time.sleep(float(os.environ.get("SMALL_WORKER_STEP_S", "0")))
        return call(*arguments)

    return slow


if __name__ == "__main__":
    import avatar.pipeline.lipsync.latentsync
    import avatar.pipeline.reenact.video
    import torch
    from avatar.cli.main import main

    torch.set_num_threads(1)
    avatar.pipeline.lipsync.latentsync.open_latentsync = small_latentsync
    avatar.pipeline.reenact.video._open_animator = small_liveportrait
    sys.exit(main(sys.argv[1:]))
