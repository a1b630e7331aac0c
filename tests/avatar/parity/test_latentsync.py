"""Our LatentSync gives what the published one gave: figures of it with the same seeded weights and inputs.

`bench/parity/latentsync.py` makes them anew from a checkout of the original.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch", reason="needs PyTorch: scripts/torch_environment, then `make test`")

import latentsync_cases as cases  # noqa: E402
from avatar.engines.latentsync.align import Aligner  # noqa: E402
from avatar.engines.latentsync.clip import Clip, Settings, Shot  # noqa: E402
from avatar.engines.latentsync.ddim import ddim_steps  # noqa: E402
from avatar.engines.latentsync.following import Seen  # noqa: E402
from avatar.engines.latentsync.loading import Networks  # noqa: E402
from avatar.engines.latentsync.mask import keep_mask  # noqa: E402
from avatar.engines.latentsync.mel import LogMel  # noqa: E402
from avatar.engines.latentsync.memory import Plan  # noqa: E402
from avatar.engines.latentsync.shapes import UNetShape  # noqa: E402
from avatar.engines.latentsync.unet import LatentSyncUNet  # noqa: E402
from avatar.engines.latentsync.warp import cut_out  # noqa: E402
from seeded import Array, figures, largest_error, noise  # noqa: E402

PER_MODULE = 1e-4
END_TO_END = 1e-3


@pytest.fixture(autouse=True)
def _small_torch() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    with torch.no_grad():
        yield
    torch.set_num_threads(before)


@cache
def _kept() -> dict[str, Array]:
    with np.load(cases.FIGURES) as file:
        return {name: file[name] for name in file.files}


def assert_close(name: str, ours: object, most: float) -> None:
    error = largest_error(figures(np.asarray(ours, np.float32)), _kept()[name])
    assert error <= most, f"{name} is {error:.1e} away from the original"


@pytest.mark.parametrize("name", cases.SOUNDS)
def test_the_log_mel_of_a_sound_read_in_windows_is_that_of_the_whole(name: str) -> None:
    windows = LogMel(cases.sound(cases.SOUNDS[name])).windows()
    assert_close(
        f"mel.{name}", torch.cat([window[:, :count] for window, count in windows], dim=1), PER_MODULE
    )


@pytest.mark.parametrize("name", cases.SOUNDS)
def test_frames_hear_the_stacked_layers_of_whisper(name: str) -> None:
    count = int(_kept()[f"frames.{name}"][0])
    assert_close(f"tokens.{name}", cases.our_tokens(cases.sound(cases.SOUNDS[name]), count), PER_MODULE)


@pytest.mark.parametrize(("frames", "step"), [(16, 951), (5, 1)])
def test_the_denoiser_predicts_the_same_noise_in_whole_and_in_short_chunks(frames: int, step: int) -> None:
    latents, tokens = (torch.from_numpy(array) for array in cases.network_inputs(frames))
    noise_in = cases.our_unet()(latents, torch.tensor(step), tokens, frames)
    assert_close(f"unet.{frames} frames.step {step}", noise_in, PER_MODULE)


def test_every_part_of_the_denoiser_agrees() -> None:
    frames = 6
    unet = cases.our_unet()
    level = unet.down_blocks[0]
    x = torch.from_numpy(noise("part", (2 * frames, 32, 8, 8)))
    time = torch.from_numpy(noise("time", (1, 128)))
    tokens = torch.from_numpy(noise("tokens", (2 * frames, 50, 384)))
    wide = torch.from_numpy(noise("wide", (2 * frames, 96, 4, 4)))
    assert_close("part.residual", level.resnets[0](x, time, frames), PER_MODULE)
    assert_close("part.spatial", level.attentions[0](x, tokens), PER_MODULE)
    assert_close("part.motion", level.motion_modules[0](x, frames), PER_MODULE)
    assert_close("part.half", level.downsamplers[0](x), PER_MODULE)
    assert_close("part.double", unet.up_blocks[0].upsamplers[0](wide), PER_MODULE)
    assert_close("part.middle", unet.mid_block(wide, time, tokens, frames), PER_MODULE)


def test_the_denoiser_of_the_published_size_has_the_names_and_shapes_of_its_checkpoint() -> None:
    with torch.device("meta"):
        ours = cases.shapes_of(LatentSyncUNet(UNetShape()).state_dict())
    assert ours == bytes(_kept()["keys.unet"].astype(np.uint8)).decode().split("\n")


@pytest.mark.parametrize("count", [3, 20])
def test_the_sampler_takes_the_same_steps(count: int) -> None:
    x = torch.from_numpy(noise("ddim", (1, 4, 2, 8, 8)))
    for step in ddim_steps(count):
        x = step.apply(x, torch.from_numpy(noise(f"guess {step.number}", tuple(x.shape))))
    assert_close(f"ddim.{count} steps", x, PER_MODULE)


def test_the_steps_are_those_of_diffusers() -> None:
    from diffusers import DDIMScheduler

    scheduler = DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False,
        set_alpha_to_one=False, steps_offset=1,
    )  # fmt: skip
    for count in (1, 7, 20, 50):
        scheduler.set_timesteps(count)
        assert [step.number for step in ddim_steps(count)] == scheduler.timesteps.tolist()


def test_the_mask_is_the_published_one_but_for_its_edge() -> None:
    ours = keep_mask(256) > 0.5
    assert _off_the_published(ours) < 0.003
    for shifted in (np.roll(ours, 2, axis=0), np.roll(ours, 2, axis=1)):
        assert _off_the_published(shifted) > 0.004, "the measure must see a shift"


def _off_the_published(mask: Array) -> float:
    """The pixels by which rows and columns differ, as a share of all: the larger of the two."""
    kept = _kept()
    rows = np.abs(mask.sum(1) - kept["mask.rows"].astype(int)).sum()
    columns = np.abs(mask.sum(0) - kept["mask.columns"].astype(int)).sum()
    return float(max(rows, columns) / mask.size)


def test_faces_are_aligned_cut_out_and_laid_back_as_by_the_original() -> None:
    pictures, anchors = cases.frames(12), cases.anchors(12)
    aligner = Aligner(cases.SIDE_PX, "published")
    matrices = [aligner.matrix(three) for three in anchors]
    assert_close("align.matrices", np.stack(matrices), PER_MODULE)
    crops = [
        cut_out(picture, matrix, cases.SIDE_PX, cases.CPU)
        for picture, matrix in zip(pictures, matrices, strict=True)
    ]
    assert_close("crop", np.stack(crops), 1 / 100)
    result = cases.our_result(pictures, cases.smooth_faces(12, cases.SIDE_PX), matrices)
    assert_close("restore", result, 1 / 100)


def test_the_whole_way_from_frames_and_sound_to_faces_agrees() -> None:
    pictures = cases.frames(cases.FRAMES)
    faces, matrices = cases.our_faces(cases.sound((cases.FRAMES - 2) / 25), pictures)
    assert_close("whole.faces", faces, END_TO_END)
    assert_close("whole.frames", cases.our_result(pictures, faces, matrices), 1 / 100)


class _Faces(Clip):
    """Keeps the drawn faces before they are laid back."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.faces: list[Any] = []

    def _laid(self, shot: Shot, face: Any) -> Any:
        self.faces.append(face)
        return super()._laid(shot, face)


def test_the_engine_that_draws_clips_agrees_from_frames_to_frames() -> None:
    """`Clip` itself, set as the original is: chunks side by side, faces drawn from the posterior by the one
    generator that drew the start. The short end of the clip is a clip of its own: ours has no short chunks.
    """
    pictures, heard = cases.frames(cases.FRAMES), cases.sound((cases.FRAMES - 2) / 25)
    tokens, aligner = cases.our_tokens(heard, cases.FRAMES), Aligner(cases.SIDE_PX, "published")
    shots = []
    for picture, anchors, said in zip(pictures, cases.anchors(cases.FRAMES), tokens, strict=True):
        matrix = aligner.matrix(anchors)
        crop = cut_out(picture, matrix, cases.SIDE_PX, cases.CPU)
        shots.append(Shot(picture[:, :, ::-1].copy(), Seen(matrix, 1.0, True), crop, said))
    clip = _Faces(
        Networks(cases.our_unet(), cases.our_whisper(), cases.our_vae()),
        Plan(cases.CPU, torch.float32, split=False, faces=cases.CHUNK),
        Settings(
            cases.STEPS, cases.GUIDANCE, cases.SIDE_PX, cases.CHUNK, overlap=0, seed=cases.GENERATOR_SEED
        ),
    )
    generator = torch.Generator().manual_seed(cases.GENERATOR_SEED)
    assert torch.equal(torch.randn(clip._noise.shape, generator=generator), clip._noise)
    clip._coder = replace(clip._coder, posterior="sample", generator=generator)
    drawn: list[Any] = []
    for first in range(0, cases.FRAMES, cases.CHUNK):
        part = shots[first : first + cases.CHUNK]
        drawn += clip.drawn(iter(part), len(part))
    assert_close("whole.faces", torch.stack(clip.faces), END_TO_END)
    assert_close("whole.frames", np.stack(drawn)[..., ::-1], 1 / 100)
