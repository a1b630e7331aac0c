"""What `--reuse` of LatentSync's denoiser changes: distance of the latents to those of full steps.

    $(scripts/torch_environment)/bin/python bench/parity/quality_reuse.py [--steps 20] [--reuse 2 3 5]
    … --weights latentsync_unet.pt                                       # an operator's, on a card

Without `--weights` reduced networks of random weights run on the processor, for each of a few seeds: that
says how the arithmetic behaves, not how a trained network's pictures look.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "avatar/src"), str(ROOT / "tests/avatar/parity")]

import latentsync_cases as cases  # noqa: E402
import torch  # noqa: E402
from avatar.engines.latentsync.loading import load_unet  # noqa: E402
from avatar.engines.latentsync.sampler import Conditions, Sampler  # noqa: E402

FRAMES, TOKENS, WIDTH = 16, 50, 384


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--guidance", type=float, default=1.5)
    parser.add_argument("--reuse", type=int, nargs="+", default=[2, 3, 5])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--weights", type=Path, metavar="FILE")
    given = parser.parse_args()
    trained = given.weights is not None
    card = trained and torch.cuda.is_available()
    device, side = torch.device("cuda" if card else "cpu"), 64 if trained else 16
    dtype = torch.float16 if card else torch.float32
    unet = load_unet(given.weights, dtype)[0] if trained else cases.our_unet()
    unet = unet.to(device).eval().requires_grad_(False)
    print(
        f"{given.weights.name if trained else 'reduced network, random weights'}: {device}, {FRAMES} frames,"
    )
    print(f"latents of {side} x {side}, {given.steps} steps, guidance {given.guidance}, {given.seeds} seeds")
    far: dict[int, list[float]] = {reuse: [] for reuse in given.reuse}
    for seed in range(given.seeds):
        noise, conditions = chunk(seed, side, device, dtype)
        full = Sampler(unet, given.steps, given.guidance).denoise(noise, [conditions]).float()
        for reuse, found in far.items():
            sampler = Sampler(unet, given.steps, given.guidance, reuse=reuse)
            made = sampler.denoise(noise, [conditions]).float()
            found.append(float((made - full).norm() / full.norm()))
    for reuse, found in far.items():
        whole = len(range(0, given.steps, reuse))
        print(
            f"--reuse {reuse}: latents {statistics.mean(found):.2%} from those of full steps"
            f" ({min(found):.2%} to {max(found):.2%}); the whole network in {whole} of {given.steps} steps"
        )


def chunk(seed: int, side: int, device: torch.device, dtype: torch.dtype) -> tuple[torch.Tensor, Conditions]:
    """Where a chunk starts, and what is known of it: noise, a mask like the published one."""
    generator = torch.Generator().manual_seed(seed)

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator).to(device, dtype)

    keep = torch.ones((1, 1, side, side), device=device, dtype=dtype)
    keep[..., side * 3 // 8 :, side // 16 : -side // 16] = 0
    face = drawn(FRAMES, 4, side, side)
    conditions = Conditions(keep, face * keep, face, drawn(FRAMES, TOKENS, WIDTH))
    return drawn(1, 4, side, side), conditions


if __name__ == "__main__":
    main()
