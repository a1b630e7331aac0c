"""The steps that compute the whole denoiser when its depth is reused."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch: scripts/torch_environment, then `make test`")
pytestmark = pytest.mark.torch

import latentsync_cases as cases  # noqa: E402
from avatar.engines.latentsync import sampler  # noqa: E402
from avatar.engines.latentsync.sampler import Conditions, Sampler, full_steps  # noqa: E402


def test_whole_steps_gather_about_the_centre_and_are_as_many_as_even_ones() -> None:
    assert full_steps(20, 1) == tuple(range(20))
    assert full_steps(20, 2) == (0, 2, 4, 5, 6, 7, 9, 11, 14, 17)
    assert full_steps(20, 3) == (0, 3, 5, 6, 9, 12, 15)
    assert full_steps(20, 5) == (0, 4, 7, 13)
    for count in range(1, 101):
        for reuse in range(1, 11):
            found = full_steps(count, reuse)
            assert len(set(found)) == len(found) == -(-count // reuse), (count, reuse)
            assert found[0] == 0 and list(found) == sorted(found) and found[-1] < count


def test_steps_that_gather_lie_nearer_to_full_steps_than_even_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many whole steps each; a random network, whose depth changes most while there is most noise."""
    torch.set_num_threads(1)  # a small network: more only wait for each other
    unet = cases.our_unet()
    generator = torch.Generator().manual_seed(1)

    def random_tensor(*shape: int) -> Any:
        return torch.randn(shape, generator=generator)

    face = random_tensor(2, 4, 8, 8)
    known = Conditions(torch.ones(1, 1, 8, 8), face, face, random_tensor(2, 50, 384))
    noise = random_tensor(1, 4, 8, 8)

    def apart(reuse: int) -> float:
        latents = Sampler(unet, 20, 1.0, reuse=reuse).denoise(noise, [known])
        return float((latents - full).norm() / full.norm())

    full = Sampler(unet, 20, 1.0).denoise(noise, [known])
    gathered = apart(5)
    monkeypatch.setattr(sampler, "full_steps", lambda count, reuse: tuple(range(0, count, reuse)))
    assert 0 < gathered < 0.95 * apart(5)
