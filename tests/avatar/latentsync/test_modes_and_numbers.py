"""Every mode and every kind of numbers draw the same frames, on the processor and on a card.

Bounds are levels of 255. In float32 only the order of sums differs between two ways through the networks:
some 1e-6 of a value, so a level may tip over where it was nearly half, and none by more. Short numbers round
what every layer gives: fp16 to 11 bits, bf16 to 8. A card also rounds inside of attention and in sums that
it splits, which a processor does in float32: it gets three times as much.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch: scripts/torch_environment, then `make test`")
pytestmark = pytest.mark.torch

from avatar.engines.latentsync.memory import Plan, in_mode, plan  # noqa: E402
from avatar.engines.latentsync.sampler import GraphedUNet  # noqa: E402
from avatar.engines.latentsync.unet import LatentSyncUNet  # noqa: E402
from avatar.engines.latentsync.vae import FaceCoder  # noqa: E402
from avatar.engines.resume_cache import ResumeCache  # noqa: E402
from numbers_and_modes import MODES, apart, draw_clip, tiny_networks, ways, whole_float32  # noqa: E402
from tensors_held import most_bytes  # noqa: E402

FRAMES = 8
IN_TWO = {"length": 5, "overlap": 2}
"""Two chunks, which the largest mode computes together."""
TIPPED_OVER = 2e-3
"""Of the levels, on average, in float32."""
CARDS_SHARE = 3
SHORT = {"fp16": (2, 0.02), "bf16": (4, 0.1)}
"""At most and on average, on a processor."""


@pytest.fixture(scope="module")
def tiny() -> Any:
    return tiny_networks()


def bf16_is_there(device: str) -> bool:
    return device == "cpu" or torch.cuda.get_device_capability() >= (8, 0)


def test_all_modes_draw_the_same_frames(tiny: Any, device: str) -> None:
    with whole_float32():
        result = {mode: draw_clip(tiny, ways(device, mode=mode), FRAMES, **IN_TWO) for mode in MODES}
    for mode in ("low", "full", "large"):
        most, mean = apart(result[mode], result["middle"], f"{mode} and middle in fp32 on {device}")
        assert most <= 1 and mean < TIPPED_OVER, mode


@pytest.fixture
def in_float32(tiny: Any, device: str) -> np.ndarray:
    with whole_float32():
        return draw_clip(tiny, ways(device), FRAMES, **IN_TWO)


@pytest.mark.parametrize("numbers", ["fp16", "bf16"])
def test_short_numbers_draw_the_same_frames_but_for_a_few_levels(
    tiny: Any, device: str, in_float32: np.ndarray, numbers: str
) -> None:
    if numbers == "bf16" and not bf16_is_there(device):
        pytest.skip("this card has no bf16: one of compute capability 8.0, then `make test-gpu`")
    share = CARDS_SHARE if device == "cuda" else 1
    most, mean = (share * bound for bound in SHORT[numbers])
    for mode in ("low", "large"):
        result = draw_clip(tiny, ways(device, numbers, mode), FRAMES, **IN_TWO)
        seen = apart(result, in_float32, f"{numbers} in {mode} and fp32 on {device}")
        assert seen[0] <= most
        assert 0 < seen[1] < mean, "and they are used"


def test_a_device_draws_what_the_processor_draws(tiny: Any, device: str, in_float32: np.ndarray) -> None:
    processors = draw_clip(tiny, ways("cpu"), FRAMES, **IN_TWO)
    most, mean = apart(in_float32, processors, f"fp32 on {device} and on the processor")
    assert most <= (1 if device == "cuda" else 0) and mean < TIPPED_OVER


@pytest.mark.parametrize("mode", ["low", "large"])
def test_a_clip_that_is_made_again_is_the_same_to_the_bit(tiny: Any, device: str, mode: Any) -> None:
    first, again = (draw_clip(tiny, ways(device, "fp16", mode), FRAMES, **IN_TWO) for _ in range(2))
    assert np.array_equal(first, again)


def test_chunks_that_were_kept_are_used_again_to_the_bit(
    tiny: Any, device: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In bytes they leave the card and come back, in fp16 as a card computes them."""
    calls = record_calls(monkeypatch, LatentSyncUNet, "forward_full")
    first = draw_clip(tiny, ways(device, "fp16"), FRAMES, ResumeCache(tmp_path / "kept"), **IN_TWO)
    assert len(calls) == 2 * 2 * 2, "two chunks, two steps, with and without sound"
    calls.clear()
    resume_cache = ResumeCache(tmp_path / "kept")
    again = draw_clip(tiny, ways(device, "fp16", "large"), FRAMES, resume_cache, **IN_TWO)
    assert (calls, resume_cache.found) == ([], 2), "whatever the mode"
    most, mean = apart(first, again, f"kept chunks in another mode on {device}")
    assert most <= 3 and mean < 0.1, "only their decoding has other company"
    same = draw_clip(tiny, ways(device, "fp16"), FRAMES, ResumeCache(tmp_path / "kept"), **IN_TWO)
    assert np.array_equal(first, same) and not calls


def record_calls(monkeypatch: pytest.MonkeyPatch, of: type, name: str) -> list[Any]:
    """Records the first argument of a method, call by call."""
    real, calls = getattr(of, name), list[Any]()

    def noting(self: Any, first: Any, *more: Any) -> Any:
        calls.append(first)
        return real(self, first, *more)

    monkeypatch.setattr(of, name, noting)
    return calls


def test_a_face_that_lies_in_two_chunks_is_encoded_once(
    tiny: Any, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    faces = record_calls(monkeypatch, FaceCoder, "encode")
    draw_clip(tiny, ways(device), FRAMES, **IN_TWO)
    assert sum(len(batch) for batch in faces) == 2 * FRAMES, "without and with its mouth"
    assert {batch.device.type for batch in faces} == {device}


@pytest.mark.parametrize("mode", ["middle", "large"])
def test_the_depth_of_an_earlier_step_may_be_reused_for_less_work(
    tiny: Any, device: str, monkeypatch: pytest.MonkeyPatch, mode: Any
) -> None:
    """In one batch or in two, what is kept of a step belongs to its own run."""
    usual = draw_clip(tiny, ways(device, mode=mode), 3, steps=6)
    # What a graph replays is no call of the network itself.
    denoiser = GraphedUNet if (device, mode) == ("cuda", "large") else LatentSyncUNet
    whole = record_calls(monkeypatch, denoiser, "forward_full")
    reused = record_calls(monkeypatch, denoiser, "forward_cached")
    result = draw_clip(tiny, ways(device, mode=mode), 3, steps=6, reuse=3)
    runs = 2 if mode == "middle" else 1
    assert (len(whole), len(reused)) == (2 * runs, 4 * runs)
    assert 0 < apart(usual, result, f"reuse 3 of 6 steps in {mode} on {device}")[1] < 2
    with whole_float32():
        both = [draw_clip(tiny, ways(device, mode=mode), 3, steps=6, reuse=3) for mode in ("middle", "full")]
    assert apart(*both, f"reuse 3 in middle and full on {device}")[0] <= 1


def test_the_low_mode_takes_less_than_half_of_the_largest(tiny: Any, device: str) -> None:
    """On a card as it counts itself, with faces so large that libraries' own share is small beside them; on
    the processor by the sizes of all tensors at work.
    """
    size = {"steps": 1, "side_px": 256 if device == "cuda" else 64}
    most = {
        mode: most_bytes(device, partial(draw_clip, tiny, ways(device, mode=mode), FRAMES, **IN_TWO, **size))
        for mode in MODES
    }
    print(", ".join(f"{mode} {size / 2**20:.1f} MiB" for mode, size in most.items()), f"on {device}")
    assert 2 * most["low"] < most["large"]
    assert most["low"] < most["middle"] < most["full"]


@pytest.mark.parametrize("requested", ["low", "auto"])
def test_low_is_done_wherever_it_is_asked_for_and_auto_leaves_a_processor_at_one_by_one(
    device: str, requested: Any
) -> None:
    """Without a card `low` used to be taken for `auto` without a word."""
    result = plan(requested, "fp32")
    plain = Plan(torch.device(device), torch.float32)
    if requested == "low":
        assert result == in_mode("low", plain) and (result.mode, result.park, result.bands) == (
            "low",
            True,
            8,
        )
    elif device == "cpu":
        assert result == plain and result.mode == ""
    else:
        assert result == in_mode(result.mode or "low", plain) and result.mode in MODES
