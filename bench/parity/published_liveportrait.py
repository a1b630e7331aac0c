"""The published LivePortrait, opened from a working tree of it, on given pictures and the points in them.

It needs torch and what the original imports: PyYAML, OpenCV, SciPy, pykalman, Rich, Tyro, imageio.
"""

from __future__ import annotations

import contextlib
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from avatar.engines.liveportrait.paste import soft_mask
from avatar.engines.weights.manifest import weight_file
from avatar.face.landmarks import Points
from liveportrait_whole import REST, Pixels, as_published
from seeded import Array

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
MASK_PX = 512
MOST_LEVEL = 255
Run = Callable[[Pixels, Points, list[Pixels], list[Points]], list[Pixels]]


def open_original(checkout: Path) -> None:
    """Make its modules importable, but for the detectors of its cropper, which are not free."""
    sys.path.insert(0, str(checkout))
    for name, member in {
        "face_analysis_diy": "FaceAnalysisDIY",
        "human_landmark_runner": "LandmarkRunner",
    }.items():
        module = types.ModuleType(f"src.utils.{name}")
        setattr(module, member, _Detector)
        sys.modules[module.__name__] = module


def inference_config(folder: Path, side_px: int, crop_px: int, *, card: bool, **options: Any) -> Any:
    """Of networks whose checkpoints lie in `folder`; half precision on a card, as by default."""
    from src.config.inference_config import InferenceConfig

    if crop_px != MASK_PX:
        # Its template has one size only. Of that size ours is the same, which `steps_liveportrait` shows.
        options["mask_crop"] = np.repeat(soft_mask(crop_px)[..., None], 3, axis=2)
    return InferenceConfig(
        models_config=str(folder / "models.yaml"),
        flag_force_cpu=not card,
        flag_use_half_precision=card,
        input_shape=(side_px, side_px),
        lip_array=REST[None],
        **{name: str(folder / weight_file(f"liveportrait.{role}").path) for name, role in PLACES.items()},
        **options,
    )


def open_run(folder: Path, crop_px: int, *, card: bool) -> Run:
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
    arguments = ArgumentConfig(
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
        PointsDouble([as_published(one) for one in moved], [as_published(points)]).of(pipeline.cropper)
        pipeline.execute(arguments)
        clipped: list[Pixels] = encoded[-1]
        return clipped

    return run


def quiet_modules(module: Any) -> None:
    """Silences its pipeline, and what it writes beside the frames."""
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


class PointsDouble:
    """Stands where the original's cropper asks detectors that are not free; all else of it is its own. Each
    of `films`, in the order in which they are cropped, holds the points of its pictures.
    """

    def __init__(self, *films: list[Array]) -> None:
        self._films = iter(films)

    def get(self, picture: Any, **_: Any) -> list[Any]:
        film = next(self._films)
        self._next = iter(film)
        return [types.SimpleNamespace(landmark_2d_106=film[0])]

    def run(self, picture: Any, points: Any) -> Array:
        return next(self._next)

    def of(self, cropper: Any) -> Any:
        """The cropper, which finds these points."""
        cropper.face_analysis_wrapper = cropper.human_landmark_runner = self
        return cropper


class _Detector:
    """Opened and warmed by the cropper; never asked."""

    def __init__(self, **_: Any) -> None: ...

    def prepare(self, **_: Any) -> None: ...

    def warmup(self) -> None: ...


class _WatchedNumpy:
    """NumPy to a module of the original, but that pictures are kept before they are cut to levels."""

    def __init__(self, rounded: bool) -> None:
        self.caught: list[Array] = []
        self._rounded = rounded

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    def clip(self, values: Any, low: float, high: float) -> Any:
        clipped = np.clip(values, low, high)
        if high != MOST_LEVEL:
            return clipped
        self.caught.append(clipped)
        return np.rint(clipped) if self._rounded else clipped


@contextlib.contextmanager
def before_levels(*, rounded: bool = False) -> Iterator[list[Array]]:
    """The finished frames (h, w, 3), in order, before it cuts them to levels. `rounded`: drawn faces and
    finished frames are rounded to the nearest level instead, as ours are.
    """
    import src.live_portrait_wrapper as wrapper
    import src.utils.crop as crop

    modules: list[Any] = [wrapper, crop]
    watched = [_WatchedNumpy(rounded) for _ in modules]
    for module, numpy in zip(modules, watched, strict=True):
        module.np = numpy
    try:
        yield watched[1].caught
    finally:
        for module in modules:
            module.np = np


def _plain(steps: Any) -> Iterator[Any]:
    yield from steps
