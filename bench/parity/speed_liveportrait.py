"""Races our LivePortrait against the original on one device, with the same random weights.

    scripts/bench parity/speed_liveportrait [--checkout PATH] [--frames 250] [--small]

On a card: 512 x 512 pictures, fp16 (the original under autocast, as it runs by default), batch 1 for the
original, which knows no other, and ours as it runs; then ours in other batches, and in bf16. Without a card
it says so, unless `--small` asks for a trial of the program on the processor. Prints frames per second of
the steps that every frame needs (W, S and G, with the picture's way back to main memory), the most memory
each took, and the five dearest operations of ours. Without a working tree of the original ours is measured
alone.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import liveportrait as parity
import numpy as np
import torch
from avatar.engines.liveportrait.animator import Animator
from avatar.engines.liveportrait.engine import batch_of
from avatar.engines.liveportrait.networks import Networks
from avatar.engines.liveportrait.pose import Pose
from avatar.engines.liveportrait.sizes import PUBLISHED, Sizes
from avatar.engines.precision import NATIVE_BF16
from dearest import print_dearest
from liveportrait_cases import NETWORKS, SMALL


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--checkout", type=Path, metavar="PATH")
    parser.add_argument("--frames", type=int, default=250, metavar="N")
    parser.add_argument("--small", action="store_true", help="small networks on the processor")
    arguments = parser.parse_args()
    if not torch.cuda.is_available() and not arguments.small:
        print("LivePortrait on a card: not measured (no card here)")
        return
    races = [("ours", ours)]
    if arguments.checkout is not None:
        parity.open_original(arguments.checkout)
        races.insert(0, ("original", original))
    sizes = SMALL if arguments.small else PUBLISHED
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    rates = {}
    for name, race in races:
        if device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        draw, batch = race(sizes, device)
        draw(3 * batch)
        started = time.perf_counter()
        draw(arguments.frames)
        rates[name] = arguments.frames / (time.perf_counter() - started)
        peak = f", peak {torch.cuda.max_memory_allocated() >> 20} MiB" if device.type == "cuda" else ""
        print(f"{name:<10} {rates[name]:8.2f} frames/s, batch {batch}{peak} on {device}")
    print_dearest("drawing one batch", lambda: draw(batch))
    others(sizes, device, batch, arguments.frames)
    if "original" in rates:
        print(f"ours / original: {rates['ours'] / rates['original']:.2f}")
    else:
        print("ours / original: not measured (no --checkout)")


def others(sizes: Sizes, device: torch.device, usual: int, frames: int) -> None:
    """Ours in batches of other sizes, and in bf16."""
    card = device.type == "cuda"
    for batch in (1, 4, 8, 16):
        time_frames(f"ours, batch {batch}", sizes, device, frames, batch=batch)
    if card and torch.cuda.get_device_capability() < NATIVE_BF16:
        print("ours, bf16: not measured (this card has none)")
    else:
        time_frames("ours, bf16", sizes, device, frames, batch=usual, dtype=torch.bfloat16)


def time_frames(name: str, sizes: Sizes, device: torch.device, frames: int, **how: Any) -> None:
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    draw, batch = ours(sizes, device, **how)
    draw(2 * batch)
    started = time.perf_counter()
    draw(frames)
    rate = frames / (time.perf_counter() - started)
    peak = f", peak {torch.cuda.max_memory_allocated() >> 20} MiB" if device.type == "cuda" else ""
    print(f"{name:<16} {rate:8.2f} frames/s{peak}", flush=True)


def keypoints(count: int) -> list[Pose]:
    draw = np.random.default_rng(1).normal
    source = draw(0, 0.3, (21, 3)).astype(np.float32)
    return [Pose(source, source + draw(0, 0.03, (21, 3)).astype(np.float32)) for _ in range(count)]


@cache
def random_networks(sizes: Sizes) -> Networks:
    """Once for all rows: numbers for the published sizes take a while."""
    networks = Networks(sizes)
    for network in NETWORKS:
        parity.fill(getattr(networks, network), network)
    return networks


def ours(
    sizes: Sizes, device: torch.device, batch: int | None = None, dtype: torch.dtype | None = None
) -> tuple[Callable[[int], None], int]:
    """In the numbers and batches that it takes by itself, or in others."""
    usual = torch.float16 if device.type == "cuda" else torch.float32
    animator = Animator(random_networks(sizes), device, dtype or usual)
    batch = batch or batch_of(animator)
    volume = animator.volume([np.zeros((sizes.picture_px, sizes.picture_px, 3), np.uint8)])

    def draw(count: int) -> None:
        poses = keypoints(count)
        for begin in range(0, count, batch):
            animator.draw(volume, poses[begin : begin + batch])

    return draw, batch


def original(sizes: Sizes, device: torch.device) -> tuple[Callable[[int], None], int]:
    parts = {
        network: parity.original_network(network, sizes).to(device)
        for network in ("appearance", "warping", "generator", "stitching")
    }
    cast = torch.autocast(device.type, torch.float16, enabled=device.type == "cuda")
    picture = torch.zeros(1, 3, sizes.picture_px, sizes.picture_px, device=device)
    with torch.no_grad(), cast:
        volume = parts["appearance"](picture).float()

    def draw(count: int) -> None:
        for pose in keypoints(count):
            source, driven = (
                torch.from_numpy(points)[None].to(device) for points in (pose.source, pose.driven)
            )
            with torch.no_grad():
                change = parts["stitching"](torch.cat([source.flatten(1), driven.flatten(1)], dim=1))
                stitched = driven + change[:, :63].reshape(1, 21, 3)
                stitched[..., :2] += change[:, None, 63:]
                with cast:
                    warped = parts["warping"](volume, kp_source=source, kp_driving=stitched)
                    images = parts["generator"](feature=warped["out"]).float()
            np.clip(np.transpose(images.cpu().numpy(), [0, 2, 3, 1]) * 255, 0, 255).astype(np.uint8)

    return draw, 1


if __name__ == "__main__":
    main()
