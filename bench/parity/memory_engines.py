"""Memory of a worker while it makes long videos, from decoding to encoding: what is taken at each minute.

    $(scripts/torch_environment)/bin/python bench/parity/memory_engines.py --engine latentsync [--minutes 30]

Random networks of reduced size and small pictures: what could grow with a video does not depend on either. On
a card its memory is told as well. The first minute fills pools and is told apart; the slope is of the rest.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [
    str(ROOT / "avatar/src"),
    *(str(ROOT / "tests/avatar" / room) for room in ("latentsync", "liveportrait", "parity")),
]

import numpy as np  # noqa: E402
import torch  # noqa: E402
from avatar.compose.colour import Planes  # noqa: E402
from avatar.encode.segment_writer import segment_writer  # noqa: E402
from avatar.spec import Canvas, VideoCodec  # noqa: E402

FPS = 25


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--engine", choices=("latentsync", "liveportrait"), required=True)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--small", action="store_true", help="on the processor although there is a card")
    arguments = parser.parse_args()
    card = torch.cuda.is_available() and not arguments.small
    device = torch.device("cuda" if card else "cpu")
    torch.set_num_threads(1)  # small networks: more only wait for each other
    frames = max(50, round(arguments.minutes * 60 * FPS))
    every = max(25, frames // 30)
    seen: list[tuple[float, float]] = []
    print(f"{arguments.engine}, {frames} frames on {device}")
    print(f"{'minute':>7} {'RSS MiB':>8} {'VRAM MiB':>9} {'s':>7}")
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        made = latentsync if arguments.engine == "latentsync" else liveportrait
        canvas = Canvas(width=192, height=160, fps=FPS)
        pictures = made(Path(folder), frames, device)
        with segment_writer(Path(folder) / "out.mp4", canvas, VideoCodec()) as writer:
            for number, picture in enumerate(pictures):
                writer.write(Planes.of(picture))
                if number % every == every - 1:
                    seen.append((number / FPS / 60, resident_mib()))
                    vram = torch.cuda.memory_allocated() / 2**20 if card else 0
                    took = time.perf_counter() - started
                    print(f"{seen[-1][0]:7.2f} {seen[-1][1]:8.1f} {vram:9.1f} {took:7.1f}", flush=True)
    later = np.array([one for one in seen if one[0] >= min(1.0, arguments.minutes / 4)])
    slope = np.polyfit(later[:, 0], later[:, 1], 1)[0]
    print(f"slope {slope:.2f} MiB a minute from minute {later[0, 0]:.1f} to {later[-1, 0]:.1f}")


def resident_mib() -> float:
    told = Path("/proc/self/status").read_text()
    return int(told.split("VmRSS:")[1].split()[0]) / 1024


def latentsync(folder: Path, frames: int, device: torch.device) -> Iterator[Any]:
    import latentsync_cases as cases
    from avatar.engines.base import EngineReport
    from avatar.engines.latentsync.clip import Settings
    from avatar.engines.latentsync.engine import Job, LatentSync
    from avatar.engines.latentsync.loading import Networks
    from avatar.engines.latentsync.memory import Plan
    from avatar.spec import MediaRef, VideoFace
    from synthetic_speaker import Clips, DotTracker

    clips = Clips(folder)
    networks = Networks(cases.our_unet(), cases.our_whisper(), cases.our_vae())
    for network in (networks.unet, networks.whisper, networks.vae):
        network.to(device)
    settings = Settings(steps=1, guidance=1.0, side_px=64, overlap=0)
    engine = LatentSync(networks, Plan(device, torch.float32, False, 4), settings, tracker=DotTracker)
    video = clips.video(120)
    face = VideoFace(video=MediaRef(path=str(video)))
    job = Job(face, video, "in.mp4", clips.sound(frames / FPS), frames, (192, 160))
    with engine.pictures(job, folder, EngineReport()) as pictures:
        yield from pictures


def liveportrait(folder: Path, frames: int, device: torch.device) -> Iterator[Any]:
    from avatar.engines.liveportrait.animator import Animator
    from avatar.engines.liveportrait.pose import Pose
    from avatar.engines.liveportrait.poses import Openings, SourceFace
    from avatar.engines.liveportrait.reenactment import Reenactment
    from avatar.face.anchors import CropFrame
    from small_networks import small_animator
    from synthetic_speaker import speaker

    animator = Animator(small_animator().networks, device, torch.float32)
    matrix = CropFrame((96, 80), 120, 0.1).matrix(animator.networks.sizes.output_px)
    draw = np.random.default_rng(1).normal
    points = draw(0, 0.3, (21, 3)).astype(np.float32)
    crop = np.zeros((animator.side_px, animator.side_px, 3), np.uint8)
    source = SourceFace(animator.motions([crop])[0], Openings(np.zeros(2, np.float32), 0.0), matrix)
    poses = (Pose(points, points + draw(0, 0.03, (21, 3)).astype(np.float32)) for _ in range(frames))
    return Reenactment(animator, batch=4).photo(speaker(0), source, poses)


if __name__ == "__main__":
    main()
