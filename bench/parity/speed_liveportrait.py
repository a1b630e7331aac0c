"""Races our LivePortrait against the original on one device, with the same random weights.

    scripts/bench parity/speed_liveportrait [--checkout PATH] [--frames 250] [--small]

On a card: 512 x 512 pictures, fp16 (the original under autocast, as it runs by default), batch 1 for the
original, which knows no other, and ours as it runs; then ours in other batches, and in bf16. Without a card
it says so, unless `--small` asks for a trial of the program on the processor. Prints frames per second of
the steps that every frame needs (W, S and G, with the picture's way back to main memory), the most memory
each took, and the five costliest operations of ours. Without a working tree of the original ours is measured
alone.
"""

from __future__ import annotations

import copy
import functools
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import liveportrait as parity
import numpy as np
import torch
from avatar.engines.liveportrait.animator import Animator
from avatar.engines.liveportrait.engine import batch_of
from avatar.engines.liveportrait.motion_values import Pose
from avatar.engines.liveportrait.sizes import PUBLISHED, Sizes
from avatar.engines.precision import NATIVE_BF16
from liveportrait_cases import SMALL
from race import device_for, print_costliest, race_parser, time_work


def main() -> None:
    parser = race_parser(__doc__)
    parser.add_argument("--checkout", type=Path, metavar="PATH")
    parser.add_argument("--frames", type=int, default=250, metavar="N")
    arguments = parser.parse_args()
    if (device := device_for(arguments.small)) is None:
        return
    sizes = SMALL if arguments.small else PUBLISHED

    def time_frames(name: str, drawing: tuple[Callable[[int], int], int]) -> float:
        draw, batch = drawing
        draw(3 * batch)
        return time_work(name, lambda: draw(arguments.frames))

    theirs = None
    if arguments.checkout is not None:
        parity.open_original(arguments.checkout)
        theirs = time_frames("the original, batch 1", original(sizes, device))
    draw, usual = ours(sizes, device)
    rate = time_frames(f"ours, batch {usual}", (draw, usual))
    print_costliest("drawing one batch", lambda: draw(usual))
    for batch in (1, 4, 8, 16):
        time_frames(f"ours, batch {batch}", ours(sizes, device, batch=batch))
    if device.type == "cuda" and torch.cuda.get_device_capability() < NATIVE_BF16:
        print("ours, bf16: not measured (this card has none)")
    else:
        time_frames("ours, bf16", ours(sizes, device, batch=usual, dtype=torch.bfloat16))
    print(
        f"ours / original: {rate / theirs:.2f}" if theirs else "ours / original: not measured (no --checkout)"
    )


seeded_networks = functools.cache(parity.networks_with_seeds)


def keypoints(count: int) -> list[Pose]:
    draw = np.random.default_rng(1).normal
    source = draw(0, 0.3, (21, 3)).astype(np.float32)
    return [Pose(source, source + draw(0, 0.03, (21, 3)).astype(np.float32)) for _ in range(count)]


def ours(
    sizes: Sizes, device: torch.device, batch: int | None = None, dtype: torch.dtype | None = None
) -> tuple[Callable[[int], int], int]:
    """In the numbers and batches that it takes by itself, or in others."""
    usual = torch.float16 if device.type == "cuda" else torch.float32
    animator = Animator(copy.deepcopy(seeded_networks(sizes)), device, dtype or usual)
    batch = batch or batch_of(animator)
    volume = animator.volume([np.zeros((sizes.picture_px, sizes.picture_px, 3), np.uint8)])

    def draw(count: int) -> int:
        poses = keypoints(count)
        for begin in range(0, count, batch):
            animator.draw(volume, poses[begin : begin + batch])
        return count

    return draw, batch


def original(sizes: Sizes, device: torch.device) -> tuple[Callable[[int], int], int]:
    parts = {
        network: parity.original_network(network, sizes).to(device)
        for network in ("appearance", "warping", "generator", "stitching")
    }
    cast = torch.autocast(device.type, torch.float16, enabled=device.type == "cuda")
    picture = torch.zeros(1, 3, sizes.picture_px, sizes.picture_px, device=device)
    with torch.no_grad(), cast:
        volume = parts["appearance"](picture).float()

    def draw(count: int) -> int:
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
        return count

    return draw, 1


if __name__ == "__main__":
    main()
