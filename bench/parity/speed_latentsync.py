"""Measures LatentSync with random weights of the published size on a card; without one it says so.

    scripts/bench parity/speed_latentsync [--checkout PATH]

Frames per second and most VRAM in every mode that the card has room for; then, in the mode that it gets by
itself, without overlap of chunks, with reuse of depth, and in bf16 (by itself a card computes in fp16); and
the five costliest operations from coding faces to laying them back. A short clip warms each row. With
`--checkout`, a working tree of the original, its UNet with the same weights does the same steps beside ours
(`published_latentsync` says what it needs). `--compile` adds rows for the compiled denoiser, last: a clip's
beginning, which holds the minutes of compiling, and the frames after it. `--small` runs reduced networks on
the processor, to see that the program itself works.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "avatar/src"), str(Path(__file__).parent)]

import numpy as np  # noqa: E402
import torch  # noqa: E402
from avatar.engines.card_memory import find_card  # noqa: E402
from avatar.engines.card_mode import MOUTH, SHARES  # noqa: E402
from avatar.engines.latentsync.clip import Clip, FrameInput, Settings  # noqa: E402
from avatar.engines.latentsync.face_placement import FacePlacement  # noqa: E402
from avatar.engines.latentsync.loading import Networks  # noqa: E402
from avatar.engines.latentsync.memory import Plan, in_mode, plan  # noqa: E402
from avatar.engines.latentsync.sampler import ddim_steps  # noqa: E402
from avatar.engines.latentsync.shapes import UNetShape  # noqa: E402
from avatar.engines.latentsync.unet import LatentSyncUNet  # noqa: E402
from avatar.engines.latentsync.vae import open_vae  # noqa: E402
from avatar.engines.latentsync.whisper import WhisperEncoder  # noqa: E402
from avatar.engines.precision import NATIVE_BF16  # noqa: E402
from race import device_for, print_costliest, race_parser, time_work  # noqa: E402

WARM_FRAMES = CHUNK = 16
SMALL_UNET = UNetShape(block_channels=(32, 64, 96, 96))
SMALL_VAE = {"block_out_channels": (32, 32, 64, 64), "layers_per_block": 1, "sample_size": 64}


def main() -> None:
    parser = race_parser(__doc__)
    parser.add_argument("--frames", type=int, default=250)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--checkout", type=Path, metavar="PATH")
    parser.add_argument("--compile", action="store_true")
    arguments = parser.parse_args()
    if device_for(arguments.small) is None:
        return
    shape, vae = (SMALL_UNET, SMALL_VAE) if arguments.small else (UNetShape(), {})
    side = 64 if arguments.small else 512
    usual = plan("auto")
    print(f"by itself: {usual.mode or 'one thing at a time'}, {str(usual.dtype).removeprefix('torch.')}")
    networks = random_networks(shape, vae, usual)
    for name, more, ways in rows(usual):
        if isinstance(ways, str):
            print(f"{name:<28} not measured: {ways}", flush=True)
            continue
        place(networks, ways)
        clip = Clip(networks, ways, Settings(arguments.steps, side_px=side, **more))
        run(clip, side, WARM_FRAMES)
        time_work(name, lambda: run(clip, side, arguments.frames))  # noqa: B023
    place(networks, usual)
    latent = side // 8
    ours = lambda: chunk(networks.unet, usual, latent, arguments.steps)  # noqa: E731
    ours()
    time_work("our UNet, one chunk", ours)
    clip = Clip(networks, usual, Settings(arguments.steps, side_px=side))
    print_costliest("drawing 16 frames", lambda: run(clip, side, 16))
    if arguments.checkout is not None:
        theirs = original(arguments.checkout, networks.unet, shape, usual)
        first = lambda: original_chunk(theirs, usual, latent, arguments.steps)  # noqa: E731
        first()
        time_work("the original's UNet", first)
        del theirs
    if arguments.compile:
        clip = Clip(networks, replace(usual, compile=True), Settings(arguments.steps, side_px=side))
        beginning = min(arguments.frames, usual.chunks * 16)
        time_work("auto, compiling", lambda: run(clip, side, beginning))
        time_work("auto, compiled", lambda: run(clip, side, arguments.frames))


def rows(usual: Plan) -> Iterator[tuple[str, dict[str, int], Plan | str]]:
    """A name, settings, and how it is computed, or why it is not."""
    card = find_card()
    for mode, share in SHARES[MOUTH].items():
        room = card is None or share.from_mib <= card.budget_mib
        yield mode, {}, in_mode(mode, usual) if room else f"the card leaves less than {share.from_mib} MiB"
    yield "auto, no overlap", {"overlap": 0}, usual
    for reuse in (2, 3):
        yield f"auto, reuse {reuse}", {"reuse": reuse}, usual
    able = card is None or divmod(card.compute, 10) >= NATIVE_BF16
    yield "auto, bf16", {}, replace(usual, dtype=torch.bfloat16) if able else "this card has no bf16"


def random_networks(shape: UNetShape, vae: dict[str, Any], ways: Plan) -> Networks:
    torch.manual_seed(0)
    with ways.device:  # a card draws 1.3 billion numbers in no time
        networks = Networks(LatentSyncUNet(shape), WhisperEncoder(), open_vae(**vae))
    for network in (networks.unet, networks.whisper, networks.vae):
        torch.nn.Module.to(network, ways.dtype, memory_format=torch.channels_last)
        network.eval().requires_grad_(False)
    return networks


def place(networks: Networks, ways: Plan) -> None:
    """Moves the networks to the device and precision of a run."""
    for network in (networks.unet, networks.vae):
        torch.nn.Module.to(network, "cpu" if ways.park else ways.device, ways.dtype)
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def run(clip: Clip, side: int, frames: int) -> int:
    """A 1080p clip whose face fills a fifth of the height; decoding, tracking and encoding are left out."""
    generator = np.random.default_rng(1)
    picture = generator.integers(0, 255, (1080, 1920, 3), np.uint8)
    crop = generator.integers(0, 255, (side, side, 3), np.uint8)
    scale = side / 512 * 2.5
    matrix = np.array([[scale, 0, -scale * 860], [0, scale, -scale * 400]])
    tokens = torch.randn(50, 384)
    for _ in clip.draw(
        (FrameInput(picture, FacePlacement(matrix, 1.0, True), crop, tokens) for _ in range(frames)), frames
    ):
        pass
    return frames


def chunk(unet: LatentSyncUNet, ways: Plan, latent: int, steps: int) -> int:
    """Sixteen frames with guidance through all steps."""
    x = torch.randn(32, 13, latent, latent, device=ways.device, dtype=ways.dtype)
    audio = torch.randn(32, 50, 384, device=ways.device, dtype=ways.dtype)
    with torch.inference_mode():
        for step in ddim_steps(steps):
            unet(x, torch.tensor(float(step.timestep), device=ways.device), audio, CHUNK)
    return CHUNK


def original(checkout: Path, ours: LatentSyncUNet, shape: UNetShape, ways: Plan) -> Any:
    import published_latentsync as published

    published.open_original(checkout)
    with ways.device:
        theirs = published.empty_unet(shape)
    theirs.load_state_dict(ours.state_dict())
    return torch.nn.Module.to(theirs, ways.device, ways.dtype).eval().requires_grad_(False)


def original_chunk(theirs: Any, ways: Plan, latent: int, steps: int) -> int:
    x = torch.randn(2, 13, CHUNK, latent, latent, device=ways.device, dtype=ways.dtype)
    audio = torch.randn(32, 50, 384, device=ways.device, dtype=ways.dtype)
    with torch.inference_mode():
        for step in ddim_steps(steps):
            theirs(x, torch.tensor(step.timestep, device=ways.device), encoder_hidden_states=audio)
    return CHUNK


if __name__ == "__main__":
    main()
