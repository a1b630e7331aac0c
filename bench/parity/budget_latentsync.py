"""Computes the peak memory of every stage of LatentSync from the sizes of its tensors, in fp16, on no card.

    scripts/bench parity/budget_latentsync

Networks of the published size run on torch's meta device, which has shapes and no numbers, with the plans
that `avatar lipsync` makes. A tensor's bytes count from the operation that makes it until it is freed;
beside each convolution and norm a copy of what it reads is added, for libraries that want another layout.
Not counted, for only a card can say it: workspaces of libraries, what the allocator leaves between blocks,
and the program's own share of the driver (`CONTEXT_MIB` stands for it).
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "avatar/src"))

import torch  # noqa: E402
from avatar.engines.card_mode import MOUTH, SHARES  # noqa: E402
from avatar.engines.latentsync.clip import LENGTH  # noqa: E402
from avatar.engines.latentsync.loading import Networks  # noqa: E402
from avatar.engines.latentsync.memory import Plan, in_mode  # noqa: E402
from avatar.engines.latentsync.sampler import Conditions, Sampler  # noqa: E402
from avatar.engines.latentsync.unet import LatentSyncUNet  # noqa: E402
from avatar.engines.latentsync.vae import FaceCoder, open_vae  # noqa: E402
from avatar.engines.latentsync.whisper import WhisperEncoder  # noqa: E402
from torch.nn import functional  # noqa: E402
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402

SIDE_PX = 512
STAGES = ("hear", "encode", "denoise", "decode")
CARD_MIB, SPEECH_MIB, CONTEXT_MIB = 8192, 4096, 450
"""A card, the speech service beside, and what CUDA and its libraries take of it for a second program."""
_FUSED_WIDTH = 256
_READ_AGAIN = ("convolution", "native_group_norm", "native_layer_norm")


class MemoryCounter(TorchDispatchMode):
    """Counts the bytes of all tensors that are alive, and their peak."""

    def __init__(self) -> None:
        super().__init__()
        self.current = self.peak = 0
        self._seen: dict[int, Any] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.hold(result)
        read = args[0] if args and isinstance(args[0], torch.Tensor) else None
        again = any(name in str(func) for name in _READ_AGAIN)
        self.peak = max(self.peak, self.current + (read.nbytes if again and read is not None else 0))
        return result

    def hold(self, result: Any) -> None:
        """Counts a tensor, or tensors in a tuple, until they are freed."""
        for tensor in result if isinstance(result, (tuple, list)) else (result,):
            if not isinstance(tensor, torch.Tensor):
                continue
            storage = tensor.untyped_storage()
            if id(storage) in self._seen:
                continue
            size = storage.nbytes()
            self._seen[id(storage)] = weakref.finalize(storage, self._gone, id(storage), size)
            self.current += size

    def _gone(self, number: int, size: int) -> None:
        self._seen.pop(number, None)
        self.current -= size


def attention_counts(query: Any, key: Any, value: Any, **_: Any) -> Any:
    """Allocates what attention takes on a GPU: its result and the log-sum-exp row. Heads wider than 256,
    which only the autoencoder has, may materialise the full score matrix.
    """
    rows = query.shape[:-1]
    columns = key.shape[-2] if query.shape[-1] > _FUSED_WIDTH else 1
    # Alive while the result is allocated, so that the peak has both.
    scores = torch.empty((*rows, columns), dtype=torch.float32, device=query.device)
    result = torch.empty_like(query)
    del scores
    return result


def networks_of_published_size(plan: Plan) -> Networks:
    with torch.device("meta"):
        result = Networks(LatentSyncUNet(), WhisperEncoder(), open_vae())
    for network in (result.unet, result.whisper, result.vae):
        torch.nn.Module.to(network, plan.dtype, memory_format=torch.channels_last)
        network.eval().requires_grad_(False)
    return result


def weights_of(network: Any) -> int:
    return sum(value.nbytes for value in network.state_dict().values())


def stages(plan: Plan, networks: Networks | None = None, side_px: int = SIDE_PX) -> dict[str, int]:
    """Returns the peak bytes on the GPU in each stage: the weights that are there then, and all tensors."""
    networks = networks or networks_of_published_size(plan)
    unet, vae, whisper_bytes = (weights_of(one) for one in (networks.unet, networks.vae, networks.whisper))
    resident = whisper_bytes + (0 if plan.park else unet + vae)
    latent = side_px // 8
    frames = LENGTH * plan.chunks

    def empty_tensor(*shape: int) -> Any:
        return torch.empty(shape, dtype=plan.dtype, device="meta")

    def clip_tensors(count: int) -> list[Any]:
        """Returns the tensors that a clip holds of its frames: both latents and the finished one."""
        return [empty_tensor(count, 4, latent, latent) for _ in range(3)]

    coder = FaceCoder(networks.vae, at_once=plan.faces, bands=plan.bands)
    networks.unet.slice_feed_forward(plan.slices)
    sampler = Sampler(networks.unet, 2, 1.5, split=plan.split)

    def hear() -> None:
        networks.whisper(empty_tensor(1, 80, 3000))

    def encode() -> None:
        coder.encode(empty_tensor(plan.faces, 3, side_px, side_px))

    def denoise() -> None:
        chunk = Conditions(
            empty_tensor(1, 1, latent, latent),
            empty_tensor(LENGTH, 4, latent, latent),
            empty_tensor(LENGTH, 4, latent, latent),
            empty_tensor(LENGTH, 50, 384),
        )
        sampler.denoise(empty_tensor(1, 4, latent, latent), [chunk] * plan.chunks)

    def decode() -> None:
        coder.decode(empty_tensor(plan.faces, 4, latent, latent))

    parked = {"hear": 0, "encode": vae, "denoise": unet, "decode": vae}
    totals = {}
    for name, work in zip(STAGES, (hear, encode, denoise, decode), strict=True):
        # `Clip.draw` holds up to two groups of frames: those of the group and those pending after it.
        clip_memory = clip_tensors(2 * frames)
        here = resident + (parked[name] if plan.park else 0) + sum(tensor.nbytes for tensor in clip_memory)
        totals[name] = here + peak_of(work)
    return totals


def peak_of(work: Callable[[], None]) -> int:
    real = functional.scaled_dot_product_attention
    functional.scaled_dot_product_attention = attention_counts
    try:
        with torch.inference_mode(), MemoryCounter() as counted:
            work()
        return counted.peak
    finally:
        functional.scaled_dot_product_attention = real


def main() -> None:
    card = Plan(torch.device("meta"), torch.float16)
    print(f"MiB at {SIDE_PX} px, fp16".ljust(22) + "".join(f"{name:>10}" for name in STAGES))
    for name, share in SHARES[MOUTH].items():
        row = [size / 2**20 for size in stages(in_mode(name, card)).values()]
        print(f"{name}, from {share.from_mib}".ljust(22) + "".join(f"{value:10.0f}" for value in row))
        if name == "low":
            left = CARD_MIB - SPEECH_MIB - CONTEXT_MIB - max(row)
            beside = f"{SPEECH_MIB} for speech and {CONTEXT_MIB} for the driver"
            print(f"  left of {CARD_MIB} MiB beside {beside}: {left:.0f}")


if __name__ == "__main__":
    main()
