"""Runs the published LatentSync beside ours with the same seeded weights; its figures are kept for the tests.

    scripts/bench parity/latentsync --checkout PATH [--write]

PATH is a working tree of the original; `published_latentsync` says what it needs. On the CPU, float32.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import time
import types
import zlib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "avatar/src"), str(ROOT / "tests/avatar/parity")]

import cv2  # noqa: E402
import latentsync_cases as cases  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from avatar.engines.latentsync.faces import face_mask  # noqa: E402
from avatar.engines.latentsync.sampler import ddim_steps  # noqa: E402
from avatar.engines.latentsync.shapes import UNetShape  # noqa: E402
from avatar.engines.latentsync.unet import LatentSyncUNet  # noqa: E402
from avatar.engines.latentsync.whisper import LogMel  # noqa: E402
from latentsync_cases import FIGURES, SIDE_PX  # noqa: E402
from published_latentsync import (  # noqa: E402
    Taken,
    before_levels,
    mask_file,
    open_original,
    original_hearing,
    original_restorer,
    original_unet,
    original_vae,
    run,
    scheduler,
    unet_config,
)
from seeded import Array, figures, largest_error, noise  # noqa: E402

TORCH_THREADS = 2


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--checkout", type=Path, required=True, metavar="PATH")
    parser.add_argument("--write", action="store_true", help=f"keep the figures in {FIGURES.name}")
    arguments = parser.parse_args()
    torch.set_num_threads(TORCH_THREADS)
    open_original(arguments.checkout)
    figures_by_name: dict[str, Array] = {}
    print(f"{'case':<34} {'largest error':>14} {'original s':>11} {'ours s':>8}")
    with torch.no_grad():
        for case in (sounds, unet, unet_parts, steps, mask, geometry, whole):
            figures_by_name |= case()
    if arguments.write:
        np.savez_compressed(FIGURES, **figures_by_name)
        print(f"{FIGURES}: {len(figures_by_name)} arrays, {FIGURES.stat().st_size / 1024:.0f} KiB")


def report_difference(
    name: str, ours: Any, theirs: Any, seconds: tuple[float, float] = (0, 0)
) -> dict[str, Array]:
    """Prints a comparison; the figures of the original's result."""
    mine, original = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    if mine.shape != original.shape:
        raise SystemExit(f"{name}: ours is {mine.shape}, the original {original.shape}")
    print(f"{name:<34} {largest_error(mine, original):14.2e} {seconds[0]:11.2f} {seconds[1]:8.2f}")
    return {name: figures(original.astype(np.float32))}


def time_call(call: Any) -> tuple[Any, float]:
    started = time.perf_counter()
    result = call()
    return result, time.perf_counter() - started


def sounds() -> dict[str, Array]:
    from latentsync.whisper.whisper.audio import log_mel_spectrogram

    figures_by_name: dict[str, Array] = {}
    hearing = original_hearing()
    for name, seconds in cases.SOUNDS.items():
        samples = cases.sound(seconds)
        mel = LogMel(samples)
        ours = torch.cat([window[:, :count] for window, count in mel.windows()], dim=1)
        figures_by_name |= report_difference(
            f"mel.{name}", ours, log_mel_spectrogram(torch.from_numpy(samples))
        )
        with contextlib.redirect_stdout(io.StringIO()):
            theirs, first = time_call(
                lambda: torch.stack(hearing.feature2chunks(hearing.audio2feat(torch.from_numpy(samples)), 25))  # noqa: B023
            )
        mine, second = time_call(lambda: cases.our_tokens(samples, len(theirs)))  # noqa: B023
        figures_by_name |= report_difference(f"tokens.{name}", mine, theirs, (first, second))
        figures_by_name[f"frames.{name}"] = np.array([len(theirs)], np.float32)
    return figures_by_name


def as_original(x: Any, frames: int) -> Any:
    """(chunks * frames, c, h, w) as the original's (chunks, c, frames, h, w)."""
    return torch.as_tensor(x).unflatten(0, (-1, frames)).transpose(1, 2)


def as_ours(x: Any) -> Any:
    return x.transpose(1, 2).flatten(0, 1)


def unet() -> dict[str, Array]:
    theirs, ours = original_unet(), cases.our_unet()
    if cases.shapes_of(theirs.state_dict()) != cases.shapes_of(ours.state_dict()):
        raise SystemExit("the state dicts differ")
    figures_by_name: dict[str, Array] = {}
    for frames in (16, 5):
        latents, tokens = (torch.from_numpy(array) for array in cases.network_inputs(frames))
        for step in (951, 1):
            number = torch.tensor(step)
            raw, first = time_call(lambda: theirs(as_original(latents, frames), number, tokens).sample)  # noqa: B023
            mine, second = time_call(lambda: ours(latents, number, tokens, frames))  # noqa: B023
            figures_by_name |= report_difference(
                f"unet.{frames} frames.step {step}", mine, as_ours(raw), (first, second)
            )
    with torch.device("meta"):
        from latentsync.models.unet import UNet3DConditionModel

        full = UNet3DConditionModel.from_config(unet_config(UNetShape()))
        mine_full = LatentSyncUNet()
    keys = cases.shapes_of(full.state_dict())
    if keys != cases.shapes_of(mine_full.state_dict()):
        raise SystemExit("the state dicts of the published size differ")
    print(f"{'unet.keys of the published size':<34} {len(keys):>14}")
    figures_by_name["keys.unet"] = np.frombuffer("\n".join(keys).encode(), np.uint8)  # type: ignore[assignment]
    return figures_by_name


def unet_parts() -> dict[str, Array]:
    theirs, ours = original_unet(), cases.our_unet()
    frames = 6
    x = torch.from_numpy(noise("part", (2 * frames, 32, 8, 8)))
    time_in = torch.from_numpy(noise("time", (1, 128)))
    tokens = torch.from_numpy(noise("tokens", (2 * frames, 50, 384)))
    five = as_original(x, frames)
    level, mine = theirs.down_blocks[0], ours.down_blocks[0]
    figures_by_name = report_difference(
        "part.residual", mine.resnets[0](x, time_in, frames), as_ours(level.resnets[0](five, time_in))
    )
    raw = level.attentions[0](five, encoder_hidden_states=tokens).sample
    figures_by_name |= report_difference("part.spatial", mine.attentions[0](x, tokens), as_ours(raw))
    raw = level.motion_modules[0](five, None, None)
    figures_by_name |= report_difference("part.motion", mine.motion_modules[0](x, frames), as_ours(raw))
    raw = level.downsamplers[0](five)
    figures_by_name |= report_difference("part.half", mine.downsamplers[0](x), as_ours(raw))
    wide = torch.from_numpy(noise("wide", (2 * frames, 96, 4, 4)))
    raw = theirs.up_blocks[0].upsamplers[0](as_original(wide, frames))
    figures_by_name |= report_difference("part.double", ours.up_blocks[0].upsamplers[0](wide), as_ours(raw))
    raw = theirs.mid_block(as_original(wide, frames), time_in, encoder_hidden_states=tokens)
    return figures_by_name | report_difference(
        "part.middle", ours.mid_block(wide, time_in, tokens, frames), as_ours(raw)
    )


def steps() -> dict[str, Array]:
    figures_by_name: dict[str, Array] = {}
    for count in (3, 20):
        theirs = scheduler()
        theirs.set_timesteps(count)
        x = mine = torch.from_numpy(noise("ddim", (1, 4, 2, 8, 8)))
        ours = ddim_steps(count)
        if [step.timestep for step in ours] != theirs.timesteps.tolist():
            raise SystemExit("the steps differ")
        for step, number in zip(ours, theirs.timesteps, strict=True):
            guess = torch.from_numpy(noise(f"guess {step.timestep}", tuple(x.shape)))
            x = theirs.step(guess, number, x, eta=0.0).prev_sample
            mine = step.apply(mine, guess)
        figures_by_name |= report_difference(f"ddim.{count} steps", mine, x)
    return figures_by_name


def mask() -> dict[str, Array]:
    """Ours is a polygon: the share of pixels in which it differs is printed; kept is how many pixels of each
    row and column the published one keeps, and a sum over all of them.
    """
    picture = cv2.imread(str(mask_file()), cv2.IMREAD_GRAYSCALE)
    published = picture > 127
    differ = float((published != (face_mask(256) > 0.5)).mean())
    print(f"{'mask.share that differs':<34} {differ:14.2e}")
    return {
        "mask.rows": published.sum(1).astype(np.uint16),
        "mask.columns": published.sum(0).astype(np.uint16),
        "mask.sum": np.array([zlib.crc32(np.packbits(published).tobytes())], np.uint32),
    }  # type: ignore[dict-item]


def geometry() -> dict[str, Array]:
    """Aligning, crops and laying back, of pictures with grain and of plain ones. Before either side cuts them
    to levels: a cut makes a whole level of the last bit of a value that is nearly whole.
    """
    count = 12
    figures_by_name: dict[str, Array] = {}
    for name, pictures in (("", cases.frames(count)), (".plain", cases.plain_frames(count))):
        restorer, ours = original_restorer(), cases.our_matrices(count)
        with before_levels() as crops:
            matrices = [
                restorer.align_warp_face(picture.copy(), landmarks3=three, smooth=True)[1]
                for picture, three in zip(pictures, cases.anchors(count), strict=True)
            ]
        figures_by_name |= report_difference(f"align{name}.matrices", np.stack(ours), torch.cat(matrices))
        figures_by_name |= report_difference(
            f"crop{name}", cases.whole_crops(pictures, ours), torch.stack(crops)
        )
        cut = np.stack([_squeezed(crop) for crop in crops])
        levels(f"crop{name}", cases.our_crops(pictures, ours), cut)
        faces = cases.smooth_faces(count, SIDE_PX)
        with before_levels() as frames:
            _, first = time_call(lambda: restore(restorer, faces, pictures, matrices))  # noqa: B023
        back, second = time_call(lambda: cases.our_frames(pictures, faces, ours))  # noqa: B023
        figures_by_name |= report_difference(f"restore{name}", back, torch.stack(frames), (first, second))
        levels(f"restore{name}", back.astype(np.uint8), torch.stack(frames).byte())
    return figures_by_name


def _squeezed(crop: Any) -> Any:
    return cv2.resize(crop.numpy().astype(np.uint8), (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_LANCZOS4)


def restore(restorer: Any, faces: Any, pictures: Any, matrices: list[Any]) -> Any:
    from latentsync.pipelines.lipsync_pipeline import LipsyncPipeline

    width, height = restorer.face_size
    holder = types.SimpleNamespace(image_processor=types.SimpleNamespace(restorer=restorer))
    boxes = [[0, 0, width, height]] * len(faces)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return LipsyncPipeline.restore_video(holder, faces, pictures, boxes, matrices)


def levels(name: str, ours: Any, theirs: Any) -> Any:
    """8-bit pictures: where values differ; prints how many do, by how many levels at most, and how many of
    them are darker in the original.
    """
    apart = np.asarray(ours, int) - np.asarray(theirs, int)
    share, darker = f"{(apart != 0).mean():14.2e}", (apart > 0).sum() / max((apart != 0).sum(), 1)
    print(f"{name + '.share apart':<34} {share}   at most {np.abs(apart).max()}, {darker:.0%} darker there")
    return np.flatnonzero(apart)


def whole() -> dict[str, Array]:
    """The original's pipeline as it is, from frames and sound to finished frames. Ours beside it twice: on
    its crops, of which the values that are a level from ours are kept, and on our own.
    """
    samples = cases.sound((cases.FRAMES - 2) / 25)
    pictures, count = cases.frames(cases.FRAMES), cases.FRAMES
    vae = original_vae(cases.SMALL_VAE)
    cases.fill(vae, 3)
    taken = Taken(
        samples, pictures, cases.anchors(count), SIDE_PX, cases.STEPS, cases.GUIDANCE, cases.CHUNK,
        cases.GENERATOR_SEED,
    )  # fmt: skip
    with before_levels() as seen:
        caught, first = time_call(lambda: run(taken, vae, original_unet(), original_hearing()))
    theirs = torch.stack(seen[count:]).numpy()
    crops, matrices = torch.stack(caught["crops"]).permute(0, 2, 3, 1).numpy(), cases.our_matrices(count)
    ours = cases.our_crops(pictures, matrices)
    apart = levels("whole.crops", ours, crops)
    faces, second = time_call(lambda: cases.our_faces(samples, crops))
    figures_by_name = report_difference("whole.faces of its crops", faces, caught["faces"], (first, second))
    finished = cases.our_frames(pictures, faces, matrices)
    figures_by_name |= report_difference("whole.frames of its crops", finished, theirs)
    levels("whole.frames of its crops", finished.astype(np.uint8), caught["frames"])
    own = cases.our_frames(pictures, cases.our_faces(samples, ours), matrices)
    report_difference("whole.frames of our crops", own, theirs)
    error = np.abs(own - theirs) / np.sqrt(np.mean(theirs**2))
    mean = np.sqrt(np.mean(error**2))
    print(f"{'  above 1e-3, share':<34} {(error > 1e-3).mean():14.2e}   root mean square {mean:.1e}")
    levels("whole.frames of our crops", own.astype(np.uint8), caught["frames"])
    figures_by_name["whole.crops.apart"] = apart.astype(np.int32)
    figures_by_name["whole.crops.values"] = crops.ravel()[apart]
    return figures_by_name | {"whole.levels of its crops": figures(np.rint(theirs))}


if __name__ == "__main__":
    main()
