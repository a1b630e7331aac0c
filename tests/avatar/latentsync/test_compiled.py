"""The compiled denoiser gives what the plain one gives, in one piece; cards decide their numbers."""

from __future__ import annotations

import shutil
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch: scripts/torch_environment, then `make test`")
pytestmark = pytest.mark.torch

import latentsync_cases as cases  # noqa: E402
from avatar.engines.card import answering_card  # noqa: E402
from avatar.engines.latentsync.memory import Plan, in_mode, plan  # noqa: E402
from avatar.engines.latentsync.sampler import CompiledUNet  # noqa: E402
from avatar.engines.latentsync.shapes import UNetShape  # noqa: E402
from avatar.engines.latentsync.unet import LatentSyncUNet  # noqa: E402
from avatar.errors import Unavailable  # noqa: E402
from numbers_and_modes import apart, draw_clip, tiny_networks, ways, whole_float32  # noqa: E402

COMPILER = shutil.which("g++") or shutil.which("clang++")
SLOW = [
    pytest.mark.slow,
    pytest.mark.skipif(COMPILER is None, reason="TorchInductor needs a C++ compiler: g++ or clang++"),
]


@pytest.fixture(scope="module")
def tiny() -> Any:
    unet = LatentSyncUNet(UNetShape(block_channels=(32, 32), layers_per_block=1)).eval().requires_grad_(False)
    cases.fill(unet, 1)
    return unet


@pytest.mark.parametrize("backend", ["eager", pytest.param("inductor", marks=SLOW)])
def test_compiling_changes_nothing_and_no_part_is_left_to_python(
    tiny: Any, device: str, backend: str
) -> None:
    """`fullgraph`: a part that cannot be compiled is an error, no slow place. On a card a graph replays."""
    plain = deepcopy(tiny).to(device)
    compiled = CompiledUNet(plain, Plan(torch.device(device), torch.float32), backend=backend)
    latents, tokens = (torch.from_numpy(array).to(device) for array in cases.network_inputs(2, side=8))
    with whole_float32(), torch.inference_mode():
        for step in (951.0, 501.0, 1.0):
            arguments = (latents, torch.tensor(step, device=device), tokens, 2)
            noise, depth = plain.forward_full(*arguments)
            ours, our_depth = compiled.forward_full(*arguments)
            assert (ours - noise).abs().max() < 1e-4 * noise.square().mean().sqrt()
            shallow = plain.forward_cached(*arguments, depth)
            assert (compiled.forward_cached(*arguments, our_depth) - shallow).abs().max() < 1e-3


@pytest.mark.parametrize("mode", [pytest.param(mode, marks=SLOW) for mode in ("low", "large")])
def test_a_clip_of_the_compiled_denoiser_is_the_same(device: str, mode: Any) -> None:
    """Chunk after chunk, with depth that is kept from step to step; parked between chunks it has no graph."""
    networks, settings = tiny_networks(), {"steps": 4, "reuse": 2, "length": 5, "overlap": 2}
    with whole_float32():
        plain, compiled = (
            draw_clip(networks, replace(ways(device, mode=mode), compile=compile), 8, **settings)
            for compile in (False, True)
        )
    most, mean = apart(compiled, plain, f"compiled and not in {mode} on {device}")
    assert most <= 1 and mean < 2e-3


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Lets torch say that there is a card of a capability it is built for, with free memory; none is used."""

    def be(capability: tuple[int, int], free_mib: int = 24_000) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda *_: capability)
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda *_: (free_mib << 20, 48_000 << 20))
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda *_: "A card")
        monkeypatch.setattr(torch.cuda, "memory_reserved", lambda *_: 0)
        monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_50", "sm_90"])

    return be


@pytest.mark.parametrize(
    ("capability", "dtype"),
    [((6, 1), "float32"), ((7, 5), "float16"), ((8, 6), "float16"), ((9, 0), "float16")],
)
def test_the_card_decides_its_numbers(card: Any, capability: tuple[int, int], dtype: str) -> None:
    card(capability)
    assert plan().dtype == getattr(torch, dtype)
    assert plan(precision="fp32").dtype == torch.float32


def test_a_turing_card_is_never_asked_for_bf16(card: Any) -> None:
    card((7, 5))
    with pytest.raises(Unavailable, match=r"gpu\.no_bf16.*7\.5"):
        plan(precision="bf16")
    card((8, 0))
    assert plan(precision="bf16").dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("free_mib", "mode"),
    [(3646, "low"), (6400, "low"), (6500, "middle"), (11_900, "middle"), (12_000, "full"), (30_000, "large")],
)
def test_what_is_free_of_a_card_decides_its_mode(card: Any, free_mib: int, mode: str) -> None:
    card((8, 9), free_mib)
    assert plan() == plan(mode) == in_mode(mode, plan())
    assert plan("low").park
    card((8, 9), 40_000)
    assert (plan() == plan(mode)) is (mode == "large")


def test_in_fp32_a_mode_needs_twice_as_much_of_it(card: Any) -> None:
    card((8, 9), 12_999)
    assert (plan().mode, plan(precision="fp32").mode) == ("full", "low")
    card((8, 9), 13_000)
    assert plan(precision="fp32").mode == "middle"


def test_a_lease_decides_it_and_not_what_is_free_beside(card: Any, monkeypatch: Any) -> None:
    card((8, 9), 40_000)
    monkeypatch.setenv("SOUNDSTAGE_VRAM_MIB", "8000")
    assert plan() == plan("middle")


def test_each_mode_parks_and_divides_less_than_the_one_before(card: Any) -> None:
    card((8, 9), 40_000)
    low, middle, full, large = (plan(mode) for mode in ("low", "middle", "full", "large"))
    assert (low.park, low.bands, low.slices) == (True, 8, 8)
    assert (middle.park, middle.bands, middle.slices, middle.split, middle.faces) == (False, 1, 1, True, 1)
    assert (full.split, full.faces, full.chunks, large.chunks) == (False, 8, 1, 2)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("CUDA error: unspecified launch failure\nCompile with TORCH_USE_CUDA_DSA"),
        RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
        torch.AcceleratorError("CUDA error: device not ready", 1),
    ],
)
def test_a_card_that_vanishes_is_a_typed_error(error: RuntimeError) -> None:
    with pytest.raises(Unavailable, match=r"(?i)gpu\.lost.*stopped answering: .*cud"), answering_card():
        raise error


def test_other_failures_are_left_as_they_are() -> None:
    with pytest.raises(RuntimeError, match="shape"), answering_card():
        raise RuntimeError("shape mismatch")
    with pytest.raises(torch.OutOfMemoryError), answering_card():
        raise torch.OutOfMemoryError("CUDA out of memory.")


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`"),
        RuntimeError("CUDA error: out of memory\nCompile with TORCH_USE_CUDA_DSA"),
        torch.AcceleratorError("CUDA error: out of memory", 2),
        RuntimeError("GET was unable to find an engine to execute this computation"),
        RuntimeError("FIND was unable to find an engine to execute this computation"),
    ],
)
def test_what_libraries_say_of_a_full_card_is_full_memory(error: RuntimeError) -> None:
    with pytest.raises(torch.OutOfMemoryError, match=r"CUDA error|GET|FIND"), answering_card():
        raise error
