"""LatentSync end to end, ours against the original, on one card with the same random weights.

    scripts/bench parity/race_latentsync --checkout PATH [--frames 250]

Both begin with the same decoded 1080p frames, the same sound and the same three points of each face, for the
detector of the original is not free, and end with finished frames: hearing, aligning, coding, denoising,
decoding and laying back are raced; reading and writing of files is not. `published_latentsync` says what the
original needs. Each draws the clip's beginning once before its clock runs. `--compile` races our compiled
denoiser too, last, for compiling takes minutes: a row for the clip's beginning, which holds them, and one for
the whole clip after it. The original computes every step whole: of DeepCache, which its own script switches
on and which computes as many whole steps as `reuse 3`, no row is like, so that one has no ratio. `--small`
runs reduced networks on the processor, to see that the program works.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import published_latentsync as published  # finds our packages
import torch
from avatar.engines.ahead import ahead
from avatar.engines.latentsync.align import Aligner
from avatar.engines.latentsync.clip import Clip, FrameInput, Settings
from avatar.engines.latentsync.engine import AHEAD_THREADS, prefetch_frames
from avatar.engines.latentsync.face_placement import FacePlacement
from avatar.engines.latentsync.faces import cut_out
from avatar.engines.latentsync.loading import Networks
from avatar.engines.latentsync.memory import Plan, plan
from avatar.engines.latentsync.shapes import FPS, SAMPLE_RATE_HZ, UNetShape
from avatar.engines.latentsync.whisper import LogMel, feature_blocks, frame_tokens
from latentsync_cases import SMALL, SMALL_VAE, anchors
from race import device_for, race_parser, time_work
from speed_latentsync import random_networks

GUIDANCE = 1.5
CHUNK = 16
SEED = 1247
CPU = torch.device("cpu")
WAYS: dict[str, dict[str, int]] = {
    "ours": {},
    "ours, no overlap": {"overlap": 0},
    "ours, reuse 3": {"reuse": 3},
}


def main() -> None:
    parser = race_parser(__doc__)
    parser.add_argument("--checkout", type=Path, required=True, metavar="PATH")
    parser.add_argument("--frames", type=int, default=250)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--compile", action="store_true")
    options = parser.parse_args()
    if device_for(options.small) is None:
        return
    shape, vae, side = (SMALL, SMALL_VAE, 64) if options.small else (UNetShape(), {}, 512)
    published.open_original(options.checkout)
    usual = plan("auto")
    networks = random_networks(shape, vae, usual)
    for network in (networks.unet, networks.vae):
        torch.nn.Module.to(network, usual.device)
    pictures, points, samples = film(options.frames)
    ours = {}

    def open_plan(ways: Plan, **more: Any) -> Callable[[int], int]:
        """So many frames of the film by one clip of ours."""
        settings = Settings(options.steps, GUIDANCE, side, length=CHUNK, seed=SEED, **more)
        clip = Clip(networks, ways, settings)
        size = (pictures.shape[2], pictures.shape[1])
        coming = prefetch_frames(settings, ways, size)
        return lambda count: race(clip, networks, side, coming, pictures[:count], points[:count], samples)

    for name, more in WAYS.items():
        ours[name] = warm_up(name, open_plan(usual, **more), options.frames)
    theirs = warm_up(
        "the original",
        original(networks, shape, vae, usual, side, options, pictures, points, samples),
        options.frames,
    )
    for name, rate in ours.items():
        if "reuse" not in WAYS[name]:
            print(f"{name} / the original: {rate / theirs:.2f}", flush=True)
    if options.compile:
        run = open_plan(replace(usual, compile=True))
        first = min(options.frames, usual.chunks * CHUNK)
        time_work("ours, compiling", lambda: run(first))
        rate = time_work("ours, compiled", lambda: run(options.frames))
        print(f"ours, compiled / the original: {rate / theirs:.2f}")


def film(frames: int) -> tuple[Any, Any, Any]:
    """RGB pictures of grain, points of a face that moves and turns, and noise that may be speech."""
    generator = np.random.default_rng(1)
    few = generator.integers(0, 255, (8, 1080, 1920, 3), np.uint8)
    pictures = np.stack([few[index % len(few)] for index in range(frames)])
    samples = generator.normal(0, 0.1, int((frames - 2) / FPS * SAMPLE_RATE_HZ)).astype(np.float32)
    return pictures, anchors(frames) * 4, samples


def race(
    clip: Clip, networks: Networks, side: int, most: int, pictures: Any, points: Any, samples: Any
) -> int:
    """Ours, as the engine does it: what needs no card is made ahead in a thread, `most` frames of it."""

    def inputs() -> Iterator[FrameInput]:
        if torch.cuda.is_available():
            torch.set_num_threads(AHEAD_THREADS)
        aligner = Aligner(side, "published")
        tokens = frame_tokens(feature_blocks(LogMel(samples), networks.whisper), len(pictures))
        for picture, three, audio_embeds in zip(pictures, points, tokens, strict=True):
            bgr = np.ascontiguousarray(picture[:, :, ::-1])
            matrix = aligner.matrix(three)
            crop = np.ascontiguousarray(cut_out(bgr, matrix, side, CPU)[:, :, ::-1])
            yield FrameInput(bgr, FacePlacement(matrix, 1.0, True), crop, audio_embeds)

    with ahead(inputs, most) as coming:
        return sum(1 for _ in clip.draw(coming, len(pictures)))


def original(
    networks: Networks,
    shape: UNetShape,
    vae: dict[str, Any],
    ways: Plan,
    side: int,
    options: argparse.Namespace,
    pictures: Any,
    points: Any,
    samples: Any,
) -> Callable[[int], int]:
    """So many frames of the film by the original, whose networks get our weights before the clock runs."""
    with ways.device:
        unet, coder = published.empty_unet(shape), published.original_vae(vae)
    hearing = published.original_hearing()
    unet.load_state_dict(networks.unet.state_dict())
    coder.load_state_dict(networks.vae.state_dict())
    for network in (unet, coder):
        torch.nn.Module.to(network, ways.device, ways.dtype).eval().requires_grad_(False)
    hearing.model.to(ways.device)

    def run(count: int) -> int:
        clip_samples = samples[: int((count - 2) / FPS * SAMPLE_RATE_HZ)]
        film = (clip_samples, pictures[:count], points[:count])
        ways_in = (side, options.steps, GUIDANCE, CHUNK, SEED, str(ways.device), ways.dtype)
        return len(published.run(published.Taken(*film, *ways_in), coder, unet, hearing)["frames"])

    return run


def warm_up(name: str, run: Callable[[int], int], frames: int) -> float:
    """Frames per second, after a chunk for what libraries choose and load on first use."""
    run(min(frames, CHUNK))
    return time_work(name, lambda: run(frames))


if __name__ == "__main__":
    main()
