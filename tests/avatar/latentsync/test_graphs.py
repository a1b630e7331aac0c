"""A denoiser replayed as CUDA graphs draws the same: new inputs, moved weights, nothing captured."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch: scripts/torch_environment, then `make test`")

from avatar.engines.latentsync.sampler import GraphedUNet  # noqa: E402
from avatar.engines.latentsync.shapes import UNetShape  # noqa: E402
from avatar.engines.latentsync.unet import LatentSyncUNet  # noqa: E402

FRAMES = 4

pytestmark = [pytest.mark.torch, pytest.mark.gpu]


@pytest.fixture
def unet() -> Any:
    if not torch.cuda.is_available():
        pytest.skip("needs an NVIDIA card: `make test-gpu`")
    torch.manual_seed(0)
    network = LatentSyncUNet(UNetShape(block_channels=(32, 64, 64, 64))).cuda().half()
    return network.eval().requires_grad_(False)


def inputs(seed: int) -> tuple[Any, ...]:
    torch.manual_seed(seed)
    sample = torch.randn(FRAMES, 13, 8, 8, device="cuda", dtype=torch.float16)
    audio = torch.randn(FRAMES, 50, 384, device="cuda", dtype=torch.float16)
    return sample, torch.full((), 900.0 - seed, device="cuda"), audio


def apart(ours: Any, expected: Any) -> float:
    return float(((ours - expected).float().norm() / expected.float().norm()).item())


def test_every_call_follows_its_own_inputs(unet: Any) -> None:
    graphed = GraphedUNet(unet)
    with torch.inference_mode():
        for seed in range(5):
            expected, cache = unet.forward_full(*inputs(seed), FRAMES)
            ours, our_cache = graphed.forward_full(*inputs(seed), FRAMES)
            assert apart(ours, expected) < 2e-3
            assert apart(our_cache, cache) < 2e-3
            shallow = unet.forward_cached(*inputs(seed + 9), FRAMES, cache)
            assert apart(graphed.forward_cached(*inputs(seed + 9), FRAMES, cache), shallow) < 2e-3


def test_weights_that_moved_are_read_where_they_are(unet: Any) -> None:
    graphed = GraphedUNet(unet)
    with torch.inference_mode():
        for _ in range(3):
            graphed.forward_full(*inputs(1), FRAMES)
    unet.cpu()
    taken = torch.full((64 << 20,), float("nan"), device="cuda", dtype=torch.float16)
    unet.cuda()
    with torch.inference_mode():
        ours, _ = graphed.forward_full(*inputs(2), FRAMES)
        expected, _ = unet.forward_full(*inputs(2), FRAMES)
        assert apart(ours, expected) < 2e-3
        del taken


def test_a_card_that_captures_nothing_runs_as_it_is(unet: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(torch.cuda, "graph", refuse)
    graphed = GraphedUNet(unet)
    with torch.inference_mode():
        expected, _ = unet.forward_full(*inputs(1), FRAMES)
        for _ in range(3):
            assert apart(graphed.forward_full(*inputs(1), FRAMES)[0], expected) < 2e-3
