"""Our LatentSync gives what the published one gave: figures of it with the same seeded weights and inputs.

`bench/parity/latentsync.py` makes them anew from a checkout of the original.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch", reason="needs PyTorch: scripts/torch_environment, then `make test`")

import latentsync_cases as cases  # noqa: E402
from avatar.engines.latentsync.clip import Clip, FrameInput, Settings  # noqa: E402
from avatar.engines.latentsync.face_placement import FacePlacement  # noqa: E402
from avatar.engines.latentsync.faces import cut_out, face_mask  # noqa: E402
from avatar.engines.latentsync.loading import Networks  # noqa: E402
from avatar.engines.latentsync.memory import Plan  # noqa: E402
from avatar.engines.latentsync.sampler import ddim_steps  # noqa: E402
from avatar.engines.latentsync.shapes import UNetShape  # noqa: E402
from avatar.engines.latentsync.unet import LatentSyncUNet  # noqa: E402
from avatar.engines.latentsync.whisper import LogMel  # noqa: E402
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
def _load_figures() -> dict[str, Array]:
    with np.load(cases.FIGURES) as file:
        return {name: file[name] for name in file.files}


def assert_close(name: str, ours: object, most: float) -> None:
    error = largest_error(figures(np.asarray(ours, np.float32)), _load_figures()[name])
    assert error <= most, f"{name} is {error:.1e} away from the original"


@pytest.mark.smoke
@pytest.mark.parametrize("name", cases.SOUNDS)
def test_the_log_mel_of_a_sound_read_in_windows_is_that_of_the_whole(name: str) -> None:
    windows = LogMel(cases.sound(cases.SOUNDS[name])).windows()
    assert_close(
        f"mel.{name}", torch.cat([window[:, :count] for window, count in windows], dim=1), PER_MODULE
    )


@pytest.mark.parametrize("name", cases.SOUNDS)
def test_frames_hear_the_stacked_layers_of_whisper(name: str) -> None:
    count = int(_load_figures()[f"frames.{name}"][0])
    assert_close(f"tokens.{name}", cases.our_tokens(cases.sound(cases.SOUNDS[name]), count), PER_MODULE)


@pytest.mark.parametrize(("frames", "step"), [(16, 951), (5, 1)])
def test_the_denoiser_predicts_the_same_noise_in_whole_and_in_short_chunks(frames: int, step: int) -> None:
    latents, tokens = (torch.from_numpy(array) for array in cases.network_inputs(frames))
    noise_in = cases.our_unet()(latents, torch.tensor(step), tokens, frames)
    assert_close(f"unet.{frames} frames.step {step}", noise_in, PER_MODULE)


@pytest.mark.smoke
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
    assert ours == bytes(_load_figures()["keys.unet"].astype(np.uint8)).decode().split("\n")


@pytest.mark.parametrize("count", [3, 20])
def test_the_sampler_takes_the_same_steps(count: int) -> None:
    x = torch.from_numpy(noise("ddim", (1, 4, 2, 8, 8)))
    for step in ddim_steps(count):
        x = step.apply(x, torch.from_numpy(noise(f"guess {step.timestep}", tuple(x.shape))))
    assert_close(f"ddim.{count} steps", x, PER_MODULE)


@pytest.mark.smoke
def test_the_steps_are_those_of_diffusers() -> None:
    from diffusers import DDIMScheduler

    scheduler = DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False,
        set_alpha_to_one=False, steps_offset=1,
    )  # fmt: skip
    for count in (1, 7, 20, 50):
        scheduler.set_timesteps(count)
        assert [step.timestep for step in ddim_steps(count)] == scheduler.timesteps.tolist()


@pytest.mark.smoke
def test_the_mask_is_the_published_one() -> None:
    ours, figures = face_mask(256) > 0.5, _load_figures()
    assert np.array_equal(ours.sum(1), figures["mask.rows"])
    assert np.array_equal(ours.sum(0), figures["mask.columns"])
    assert zlib.crc32(np.packbits(ours).tobytes()) == figures["mask.sum"][0]


@pytest.mark.parametrize("kind", ["", ".plain"])
def test_faces_are_aligned_cut_out_and_laid_back_as_by_the_original(kind: str) -> None:
    """Before levels are cut: `test_crops_are_in_levels_what_the_original_shows_its_networks`."""
    pictures = cases.plain_frames(12) if kind else cases.frames(12)
    matrices = cases.our_matrices(12)
    assert_close(f"align{kind}.matrices", np.stack(matrices), PER_MODULE)
    assert_close(f"crop{kind}", cases.whole_crops(pictures, matrices), PER_MODULE)
    faces = cases.smooth_faces(12, cases.SIDE_PX)
    assert_close(f"restore{kind}", cases.our_frames(pictures, faces, matrices), END_TO_END)


def test_crops_are_in_levels_what_the_original_shows_its_networks() -> None:
    """But for values that are whole to the last bits: it cuts 99.99999 to 99 where ours has 100.00001."""
    ours = cases.our_crops(cases.frames(cases.FRAMES), cases.our_matrices(cases.FRAMES))
    theirs = _their_crops(ours)
    apart = np.abs(ours.astype(int) - theirs)
    assert 0 < (apart > 0).mean() < 1e-3
    assert apart.max() == 1


def test_a_plain_surface_keeps_its_level() -> None:
    """The original loses one in some of its pixels, for its sum of weights is a little below one."""
    for level in range(0, 256, 5):
        picture = np.full((240, 320, 3), level, np.uint8)
        turned = np.array([[0.45, 0.12, -60.4], [-0.12, 0.45, 0.2]])
        assert (cut_out(picture, turned, cases.SIDE_PX, cases.CPU) == level).all(), level


def _their_crops(ours: cases.Pixels) -> cases.Pixels:
    """Returns the crops of the original: ours, with the values that its run had a level apart."""
    crops = ours.copy()
    crops.reshape(-1)[_load_figures()["whole.crops.apart"].astype(int)] = _load_figures()[
        "whole.crops.values"
    ]
    return crops


@pytest.mark.smoke
def test_the_whole_way_from_frames_and_sound_to_faces_and_frames_agrees() -> None:
    """The original with its own alignment, crops, mask and laying back."""
    pictures, matrices = cases.frames(cases.FRAMES), cases.our_matrices(cases.FRAMES)
    sound = cases.sound((cases.FRAMES - 2) / 25)
    faces = cases.our_faces(sound, _their_crops(cases.our_crops(pictures, matrices)))
    assert_close("whole.faces of its crops", faces, END_TO_END)
    assert_close("whole.frames of its crops", cases.our_frames(pictures, faces, matrices), END_TO_END)


class _Faces(Clip):
    """Keeps the drawn faces before they are laid back."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.faces: list[Any] = []

    def _paste(self, frame_input: FrameInput, face: Any) -> Any:
        self.faces.append(face)
        return super()._paste(frame_input, face)


def test_the_engine_that_draws_clips_agrees_from_frames_to_frames() -> None:
    """`Clip` itself, set as the original is: chunks side by side, faces drawn from the posterior by the one
    generator that drew the start. The short end of the clip is a clip of its own: ours has no short chunks.
    It rounds finished frames, so it is held to what the original had before its cut, rounded.
    """
    pictures, sound = cases.frames(cases.FRAMES), cases.sound((cases.FRAMES - 2) / 25)
    tokens, matrices = cases.our_tokens(sound, cases.FRAMES), cases.our_matrices(cases.FRAMES)
    crops = _their_crops(cases.our_crops(pictures, matrices))
    frame_inputs = [
        FrameInput(picture[:, :, ::-1].copy(), FacePlacement(matrix, 1.0, True), crop, audio_embeds)
        for picture, matrix, crop, audio_embeds in zip(pictures, matrices, crops, tokens, strict=True)
    ]
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
        part = frame_inputs[first : first + cases.CHUNK]
        drawn += clip.draw(iter(part), len(part))
    assert_close("whole.faces of its crops", torch.stack(clip.faces), END_TO_END)
    assert_close("whole.levels of its crops", np.stack(drawn)[..., ::-1], END_TO_END)
