"""Whole runs of the published LivePortrait with seeded weights; `liveportrait.py` compares ours with them."""

from __future__ import annotations

import copy
import time
from pathlib import Path
from typing import Any

import cv2
import liveportrait_whole as whole
import numpy as np
import torch
from avatar.engines.liveportrait.animator import Animator
from avatar.engines.liveportrait.engine import load_networks, require_files
from liveportrait_cases import SMALL
from published_liveportrait import before_levels, inference_config, quiet_modules
from seeded import Array, figures, largest_error


def compare_runs(folder: Path) -> dict[str, Array]:
    """The original's figures for all whole runs; its checkpoints lie in `folder`, and ours are loaded from
    there.
    """
    networks = load_networks(require_files(folder), SMALL)
    figures_by_name: dict[str, Array] = {}
    for name, case in whole.CASES.items():
        started = time.perf_counter()
        theirs = run_original(case, folder)
        between = time.perf_counter()
        animator = Animator(
            copy.deepcopy(networks), torch.device("cpu"), torch.float32, strength=case.strength
        )
        ours = whole.ours(case, animator, theirs.matrices, theirs.backs)
        ended = time.perf_counter()
        error = largest_error(ours.rendered, theirs.rendered)
        moved = largest_error(ours.keypoints, theirs.keypoints)
        apart_laid = np.abs(ours.laid - theirs.laid) / np.sqrt(np.mean(theirs.laid**2))
        apart = np.abs(whole.crop_matrices(case) - theirs.matrices).max()
        seconds = f"{between - started:11.2f} {ended - between:8.2f}"
        print(f"{'whole.' + name:<40} {error:14.2e} {seconds}", end="  ")
        print(f"keypoints {moved:.1e}, crop {apart:.0e} px", end=", ")
        print(f"laid back {apart_laid.max():.1e}, above 1e-3 {(apart_laid > 1e-3).mean():.1e}")
        figures_by_name[f"whole.{name}.matrices"] = theirs.matrices
        figures_by_name[f"whole.{name}.backs"] = theirs.backs
        figures_by_name[f"whole.{name}.keypoints"] = theirs.keypoints.astype(np.float32)
        for index, output in enumerate(theirs.rendered):
            figures_by_name[f"whole.{name}.made.{index}"] = figures(output)
            figures_by_name[f"whole.{name}.laid.{index}"] = figures(theirs.laid[index])
    return figures_by_name


class CropperDouble:
    """Stands where the original's cropper would ask detectors: the landmarks are given."""

    def __init__(self, frames: int) -> None:
        from src.config.crop_config import CropConfig

        self.crop_cfg = CropConfig(dsize=whole.CROP_PX)
        self._frames = frames
        self.matrices: list[Array] = []
        self.backs: list[Array] = []

    def crop_source_image(self, picture: Any, crop_cfg: Any) -> dict[str, Any]:
        return self._crop(picture, 0)

    def crop_source_video(self, pictures: Any, crop_cfg: Any) -> dict[str, Any]:
        crops = [self._crop(picture, index) for index, picture in enumerate(pictures)]
        return {
            "frame_crop_lst": [crop["img_crop_256x256"] for crop in crops],
            "lmk_crop_lst": [crop["lmk_crop"] for crop in crops],
            "M_c2o_lst": [crop["M_c2o"] for crop in crops],
        }

    def _crop(self, picture: Any, index: int) -> dict[str, Any]:
        from src.utils.crop import crop_image

        points = whole.as_published(whole.landmarks("source", index))
        crop_config = self.crop_cfg
        output: dict[str, Any] = crop_image(
            picture,
            points,
            dsize=crop_config.dsize,
            scale=crop_config.scale,
            vy_ratio=crop_config.vy_ratio,
            flag_do_rot=True,
        )
        self.matrices.append(output["M_o2c"][:2].astype(np.float32))
        self.backs.append(output["M_c2o"][:2].astype(np.float32))
        small = (whole.SIDE_PX, whole.SIDE_PX)
        output["img_crop_256x256"] = cv2.resize(output["img_crop"], small, interpolation=cv2.INTER_AREA)
        output["lmk_crop"] = points
        return output


def run_original(case: whole.Whole, folder: Path) -> whole.Result:
    """Its own `execute`, from given frames and a template it makes itself, to the frames it would encode."""
    import src.live_portrait_pipeline as original
    from src.config.argument_config import ArgumentConfig
    from src.config.crop_config import CropConfig

    options: dict[str, Any] = {
        "flag_normalize_lip": False,
        "driving_multiplier": case.strength,
        **case.flags,
    }
    config = inference_config(folder, whole.SIDE_PX, whole.CROP_PX, card=False, **options)
    quiet_modules(original)
    pipeline = original.LivePortraitPipeline(config, CropConfig())
    pipeline.cropper = CropperDouble(case.frames)
    wrapper = pipeline.live_portrait_wrapper

    driven = 1 if case.pictured else case.frames
    pictures = [whole.driving_frame(index) for index in range(driven)]
    points = [whole.as_published(whole.landmarks("driving", index)) for index in range(driven)]
    template = pipeline.make_motion_template(
        wrapper.prepare_videos(pictures), *wrapper.calc_ratio(points), output_fps=25
    )
    drawn: list[tuple[Array, Array]] = []

    def watch(volume: Any, source: Any, driven: Any) -> Any:
        output = type(wrapper).warp_decode(wrapper, volume, source, driven)
        drawn.append((np.concatenate([source.numpy(), driven.numpy()]), output["out"].numpy()[0]))
        return output

    wrapper.warp_decode = watch
    module: Any = original
    module.load = lambda path: copy.deepcopy(template)
    module.load_image_rgb = lambda path: whole.source_frame(0)
    module.load_video = lambda path: [whole.source_frame(index) for index in range(case.frames)]
    module.images2video = lambda frames, **_: None
    source = "source.mp4" if case.filmed else "source.png"
    with before_levels() as laid:
        pipeline.execute(ArgumentConfig(source=source, driving="driving.pkl", output_dir=str(folder / "out")))
    return whole.Result(
        np.stack(pipeline.cropper.matrices),
        np.stack(pipeline.cropper.backs),
        np.stack([keypoints for keypoints, _ in drawn]),
        np.stack([output for _, output in drawn]),
        np.stack(laid),
    )
