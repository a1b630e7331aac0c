"""The published LivePortrait, opened from a working tree of it, on a given photo and given driving frames.

It needs torch and what the original imports: PyYAML, OpenCV, SciPy, pykalman, Rich, Tyro, imageio.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from avatar.engines.liveportrait.paste import soft_mask
from avatar.engines.weights.manifest import weight_file
from avatar.face.landmarks import Points
from liveportrait_whole import REST, Pixels, as_published

PLACES = {
    "checkpoint_F": "appearance",
    "checkpoint_M": "motion",
    "checkpoint_W": "warping",
    "checkpoint_G": "generator",
    "checkpoint_S": "retargeting",
}
"""Its names of the files, and our roles of them."""
LONGEST_PX = 1920
"""By default it shrinks a photo to 1280; then its frames would not be those that were asked for."""
Run = Callable[[Pixels, Points, list[Pixels], list[Points]], list[Pixels]]


def inference_config(folder: Path, side_px: int, crop_px: int, *, card: bool, **options: Any) -> Any:
    """Of networks whose checkpoints lie in `folder`; half precision on a card, as by default."""
    from src.config.inference_config import InferenceConfig

    return InferenceConfig(
        models_config=str(folder / "models.yaml"),
        flag_force_cpu=not card,
        flag_use_half_precision=card,
        input_shape=(side_px, side_px),
        mask_crop=np.repeat(soft_mask(crop_px)[..., None], 3, axis=2),
        lip_array=REST[None],
        **{name: str(folder / weight_file(f"liveportrait.{role}").path) for name, role in PLACES.items()},
        **options,
    )


def opened(folder: Path, crop_px: int, *, card: bool) -> Run:
    """Its pipeline: from a photo, driving frames (RGB) and their landmarks to the frames it would encode."""
    import src.live_portrait_pipeline as module
    from src.config.argument_config import ArgumentConfig
    from src.config.crop_config import CropConfig

    quiet_modules(module)
    config = inference_config(folder, crop_px // 2, crop_px, card=card, source_max_dim=LONGEST_PX)
    config.flag_crop_driving_video = True
    pipeline = module.LivePortraitPipeline(config, CropConfig(dsize=crop_px))
    for name in ("source.png", "driving.mp4"):
        (folder / name).touch()
    asked = ArgumentConfig(
        source=str(folder / "source.png"),
        driving=str(folder / "driving.mp4"),
        output_dir=str(folder / "out"),
        flag_crop_driving_video=True,
    )

    def run(photo: Pixels, points: Points, driving: list[Pixels], moved: list[Points]) -> list[Pixels]:
        encoded: list[Any] = []
        changes: dict[str, Any] = {
            "load_image_rgb": lambda path: photo,
            "load_video": lambda path: driving,
            "dump": lambda *_: None,
            "images2video": lambda frames, **_: encoded.append(frames),
        }
        vars(module).update(changes)
        pipeline.cropper = GivenCropper(CropConfig(dsize=crop_px), points, moved)
        pipeline.execute(asked)
        made: list[Pixels] = encoded[-1]
        return made

    return run


def quiet_modules(module: Any) -> None:
    """What its pipeline tells, and writes beside the frames, is left out."""
    wrapper: Any = sys.modules["src.live_portrait_wrapper"]
    wrapper.log = lambda *_, **__: None
    changes: dict[str, Any] = {
        "get_fps": lambda path: 25,
        "has_audio_stream": lambda path: False,
        "concat_frames": lambda *rows: [],
        "log": lambda *_, **__: None,
        "track": lambda steps, **_: _plain(steps),
    }
    vars(module).update(changes)


class GivenCropper:
    """Stands where the original's cropper would ask detectors: landmarks are given, the rest is its own."""

    def __init__(self, config: Any, points: Points, driving: list[Points]) -> None:
        self.crop_cfg = config
        self._points, self._driving = as_published(points), [as_published(one) for one in driving]

    def crop_source_image(self, picture: Any, crop_cfg: Any) -> dict[str, Any]:
        from src.utils.crop import crop_image

        made: dict[str, Any] = crop_image(
            picture,
            self._points,
            dsize=crop_cfg.dsize,
            scale=crop_cfg.scale,
            vx_ratio=crop_cfg.vx_ratio,
            vy_ratio=crop_cfg.vy_ratio,
            flag_do_rot=crop_cfg.flag_do_rot,
        )
        made["img_crop_256x256"] = cv2.resize(made["img_crop"], (256, 256), interpolation=cv2.INTER_AREA)
        made["lmk_crop"] = self._points
        return made

    def crop_driving_video(self, pictures: Any) -> dict[str, Any]:
        """One box for all frames, the mean of each one's own."""
        from src.utils.crop import average_bbox_lst, crop_image_by_bbox, parse_bbox_from_landmark

        asked = self.crop_cfg
        boxes = [
            parse_bbox_from_landmark(
                points,
                scale=asked.scale_crop_driving_video,
                vx_ratio_crop_driving_video=asked.vx_ratio_crop_driving_video,
                vy_ratio=asked.vy_ratio_crop_driving_video,
            )["bbox"][[0, 2]].ravel()
            for points in self._driving
        ]
        box = average_bbox_lst(boxes)
        crops = [
            crop_image_by_bbox(picture, box, lmk=points, dsize=512, flag_rot=False, borderValue=(0, 0, 0))
            for picture, points in zip(pictures, self._driving, strict=True)
        ]
        return {
            "frame_crop_lst": [crop["img_crop"] for crop in crops],
            "lmk_crop_lst": [crop["lmk_crop"] for crop in crops],
        }


def _plain(steps: Any) -> Iterator[Any]:
    yield from steps
