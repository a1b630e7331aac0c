"""The published LivePortrait beside ours from pictures to finished frames, step by step, with crops of 512
pixels, its own crops, mask and laying back; `liveportrait.py` runs it.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import liveportrait_steps as steps
import numpy as np
from avatar.engines.liveportrait.paste import cut, shrunk, soft_mask
from avatar.face.anchors import liveportrait_crop
from liveportrait_cases import STEP_SIZES
from liveportrait_steps import CROP_PX, HEIGHT, KINDS, PLACES, RUNS, WIDTH, Run
from liveportrait_whole import Pixels, as_published, paste_onto, place_back
from published_liveportrait import PointsDouble, before_levels, inference_config, quiet_modules
from seeded import Array, figures, largest_error

SIDE_PX = STEP_SIZES.picture_px
LEVELS = 255


def compare_all(original: Original) -> dict[str, Array]:
    """The original's figures for all steps, after printing how far ours are from them."""
    figures_by_name = _mask(original)
    _nearly_upright()
    for kind in KINDS:
        figures_by_name |= _crops(original, kind)
        figures_by_name |= _driving_crops(original, kind)
    figures_by_name |= _laying_back(original)
    for name, run in RUNS.items():
        figures_by_name |= _whole(original, name, run)
    return figures_by_name


@dataclass
class Caught:
    """Inputs and results of a whole run of the original. sources, driving: (2, 3), from picture to crop;
    backs: the ways back that it lays by. before: finished frames before they are cut; rounded: where it
    rounds.
    """

    sources: list[Array]
    backs: list[Array]
    driving: Array
    keypoints: Array
    rendered: Array
    before: Array
    frames: Pixels
    rounded: Pixels


class Original:
    """Its pipeline with networks whose checkpoints lie in `folder`."""

    def __init__(self, folder: Path) -> None:
        import src.live_portrait_pipeline as module
        from src.config.crop_config import CropConfig

        quiet_modules(module)
        self._module: Any = module
        self._folder = folder
        config = inference_config(folder, SIDE_PX, CROP_PX, card=False, flag_normalize_lip=False)
        config.flag_crop_driving_video = True
        self.mask: Pixels = config.mask_crop
        self.pipeline = module.LivePortraitPipeline(config, CropConfig())

    def source_crop(self, picture: Any, index: int, dtype: Any = np.float32) -> dict[str, Any]:
        """`M_o2c`, `M_c2o`, `img_crop` of 512 and `img_crop_256x256`. `dtype`: of the points; its detectors
        give float32.
        """
        published = as_published(steps.points(index)).astype(dtype)
        cropper = PointsDouble([published]).of(self.pipeline.cropper)
        output: dict[str, Any] = cropper.crop_source_image(picture, cropper.crop_cfg)
        return output

    def driving_crops(self, pictures: list[Any], indices: list[int]) -> tuple[list[Any], Array]:
        """Crops of 512, and the matrix of all."""
        import src.utils.cropper as module

        published = [as_published(steps.points(index)) for index in indices]
        cropper = PointsDouble(published).of(self.pipeline.cropper)
        with _Recorded(module, "crop_image_by_bbox") as recorded:
            crops: list[Any] = cropper.crop_driving_video(pictures)["frame_crop_lst"]
        return crops, recorded.results[0]["M_o2c"][:2]

    def whole(self, run: Run) -> Caught:
        """Its own `execute`, from pictures to the frames it would encode; then once more from its drawn
        faces, with both cuts made roundings.
        """
        import src.utils.cropper as module

        wrapper = self.pipeline.live_portrait_wrapper
        drawn: list[tuple[Array, Any]] = []

        def watch(volume: Any, source: Any, driven: Any) -> Any:
            output = type(wrapper).warp_decode(wrapper, volume, source, driven)
            drawn.append((np.concatenate([source.numpy(), driven.numpy()]), output))
            return output

        wrapper.warp_decode = watch
        with (
            _Recorded(module, "crop_image") as sources,
            _Recorded(module, "crop_image_by_bbox") as driving,
            before_levels() as before,
        ):
            frames = self._executed(run)
        again = iter([output for _, output in drawn])
        wrapper.warp_decode = lambda *_: next(again)
        with before_levels(rounded=True):
            rounded = self._executed(run)
        return Caught(
            [output["M_o2c"][:2] for output in sources.results],
            [output["M_c2o"][:2] for output in sources.results],
            driving.results[0]["M_o2c"][:2],
            np.stack([keypoints for keypoints, _ in drawn]),
            np.stack([output["out"].numpy()[0] for _, output in drawn]),
            np.stack(before),
            frames,
            rounded,
        )

    def _executed(self, run: Run) -> Pixels:
        from src.config.argument_config import ArgumentConfig

        encoded: list[Any] = []
        source = "source.mp4" if run.filmed else "source.png"
        films = {
            str(self._folder / source): [steps.picture(number) for number in run.sources],
            str(self._folder / "driving.mp4"): [steps.picture(number) for number in run.driving],
        }
        vars(self._module).update(
            {
                "load_image_rgb": lambda path: films[path][0],
                "load_video": films.__getitem__,
                "dump": lambda *_: None,
                "images2video": lambda frames, **_: encoded.append(frames),
            }
        )
        for path in films:
            Path(path).touch()
        points = [
            [as_published(steps.points(number)) for number in numbers]
            for numbers in (run.driving, run.sources)
        ]
        PointsDouble(*points).of(self.pipeline.cropper)
        driving = str(self._folder / "driving.mp4")
        out = str(self._folder / "out")
        self.pipeline.execute(
            ArgumentConfig(
                source=str(self._folder / source),
                driving=driving,
                output_dir=out,
                flag_crop_driving_video=True,
            )
        )
        return np.stack(encoded[-1])


class _Recorded:
    """Keeps what a function of a module gives."""

    def __init__(self, module: Any, name: str) -> None:
        self._module, self._name, self._real = module, name, getattr(module, name)
        self.results: list[Any] = []

    def __enter__(self) -> _Recorded:
        def record(*arguments: Any, **named: Any) -> Any:
            self.results.append(self._real(*arguments, **named))
            return self.results[-1]

        setattr(self._module, self._name, record)
        return self

    def __exit__(self, *_: object) -> None:
        setattr(self._module, self._name, self._real)


def report_difference(name: str, ours: Any, theirs: Any) -> dict[str, Array]:
    """Prints how far values are from the original's; the figures of the latter."""
    mine, original = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    error = np.abs(mine - original) / np.sqrt(np.mean(original**2))
    print(f"{name:<50} {largest_error(mine, original):10.2e}", end="")
    print(f"   above 1e-3 {(error > 1e-3).mean():.1e}, root mean square {np.sqrt(np.mean(error**2)):.1e}")
    return {name: figures(original.astype(np.float32))}


def levels(name: str, ours: Any, theirs: Any) -> dict[str, Array]:
    """Prints where 8-bit values differ, and by how much."""
    apart = np.asarray(ours, int) - np.asarray(theirs, int)
    print(f"{name:<50} {(apart != 0).mean():10.2e} of the values apart", end="")
    print(f"   at most {np.abs(apart).max()} levels, on average {apart.mean():+.3f}")
    return {name: figures(np.asarray(theirs, np.float32))}


def _mask(original: Original) -> dict[str, Array]:
    theirs, ours = original.mask, soft_mask(CROP_PX)
    print(f"{'steps.mask':<50} {int((theirs != ours[..., None]).sum()):>10} pixels apart")
    return {
        "steps.mask.sum": np.array([zlib.crc32(theirs[..., 0].tobytes())], np.uint32),  # type: ignore[dict-item]
        "steps.mask.rows": theirs[..., 0].sum(axis=1).astype(np.float32),
    }


def _nearly_upright() -> None:
    """Returns the error of the original's place of a face that hardly leans: it takes the angle from a
    cosine in float32, which is 1 for all angles below 2.4e-4.
    """
    from src.utils.crop import _estimate_similar_transform_from_pts

    apart, middle = [], np.array([WIDTH / 2, HEIGHT / 2])
    for angle in np.linspace(-0.02, 0.02, 801):
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        points = steps.points(0)
        points[:, :2] = (points[:, :2] - middle) @ turn.T + middle
        theirs, _ = _estimate_similar_transform_from_pts(
            as_published(points), dsize=CROP_PX, scale=2.3, vy_ratio=-0.125
        )
        apart.append(steps.corners_apart(liveportrait_crop(points).matrix(CROP_PX), theirs))
    print(f"{'steps.places, nearly upright':<50} {max(apart):10.2e} pixels, median {np.median(apart):.1e}")


def _crops(original: Original, kind: str) -> dict[str, Array]:
    """Of all places: before it is cut to levels, in levels, and as the networks take it."""
    pictures = [steps.picture(index, kind) for index in range(len(PLACES))]
    raw = [original.source_crop(picture.astype(np.float32), i) for i, picture in enumerate(pictures)]
    whole = [original.source_crop(picture, index) for index, picture in enumerate(pictures)]
    theirs = np.stack([output["M_o2c"][:2] for output in raw])
    own = [steps.our_place(index) for index in range(len(PLACES))]
    name = f"steps.crop.{kind}"
    if kind == KINDS[0]:
        apart = [steps.corners_apart(a, b) for a, b in zip(own, theirs, strict=True)]
        print(f"{'steps.places':<50} {max(apart):10.2e} pixels of the crop, at a corner of the picture")
        precise = [original.source_crop(p, index, np.float64)["M_o2c"] for index, p in enumerate(pictures)]
        apart = [steps.corners_apart(a, b[:2]) for a, b in zip(own, precise, strict=True)]
        print(f"{'  … of the same points in float64':<50} {max(apart):10.2e}")
    figures_by_name: dict[str, Array] = {"steps.places": theirs}
    for whose, places in (("its", list(theirs.astype(np.float64))), ("our", own)):
        before = [
            cut(p.astype(np.float32), place, CROP_PX) for p, place in zip(pictures, places, strict=True)
        ]
        cuts = [cut(p, place, CROP_PX) for p, place in zip(pictures, places, strict=True)]
        small = [shrunk(crop, SIDE_PX) for crop in cuts]
        figured = report_difference(
            f"{name}, {whose} places", np.stack(before), np.stack([m["img_crop"] for m in raw])
        )
        figured |= levels(f"{name}.levels, {whose} places", np.stack(cuts), [m["img_crop"] for m in whole])
        theirs_small = [output["img_crop_256x256"] for output in whole]
        figured |= levels(f"{name}.shrunk, {whose} places", np.stack(small), theirs_small)
        if whose == "its":
            figures_by_name |= {key.removesuffix(", its places"): value for key, value in figured.items()}
    return figures_by_name


def _driving_crops(original: Original, kind: str) -> dict[str, Array]:
    """As `_crops`, of a driving clip; the halves are those of the pipeline."""
    indices = list(RUNS["photo"].driving)
    pictures = [steps.picture(index, kind) for index in indices]
    raw, matrix = original.driving_crops([picture.astype(np.float32) for picture in pictures], indices)
    whole, _ = original.driving_crops(list(pictures), indices)
    halves = [cv2.resize(crop, (SIDE_PX, SIDE_PX)) for crop in whole]
    own = steps.our_film(indices).frame.matrix(CROP_PX)
    name = f"steps.driving.{kind}"
    if kind == KINDS[0]:
        print(f"{'steps.driving place':<50} {steps.corners_apart(own, matrix):10.2e} pixels of the crop")
    figures_by_name: dict[str, Array] = {"steps.driving place": matrix}
    for whose, place in (("its", matrix.astype(np.float64)), ("our", own)):
        before = [cut(picture.astype(np.float32), place, CROP_PX) for picture in pictures]
        small = [shrunk(cut(picture, place, CROP_PX), SIDE_PX) for picture in pictures]
        figured = report_difference(f"{name}, {whose} place", np.stack(before), np.stack(raw))
        figured |= levels(f"{name}.shrunk, {whose} place", np.stack(small), np.stack(halves))
        if whose == "its":
            figures_by_name |= {key.removesuffix(", its place"): value for key, value in figured.items()}
    return figures_by_name


def _laying_back(original: Original) -> dict[str, Array]:
    """A face that no network drew, at all places: the mask there, and frames before and after the cut."""
    from src.utils.crop import paste_back, prepare_paste_back

    face, figures_by_name = steps.face(), dict[str, Array]()
    pictures = [steps.picture(index) for index in range(len(PLACES))]
    backs = [original.source_crop(p, index)["M_c2o"] for index, p in enumerate(pictures)]
    masks = [prepare_paste_back(original.mask, back, (WIDTH, HEIGHT)) for back in backs]
    with before_levels() as before:
        frames = [paste_back(face, *arguments) for arguments in zip(backs, pictures, masks, strict=True)]
    figures_by_name["steps.ways back"] = np.stack([back[:2] for back in backs])
    own = [steps.our_place(index) for index in range(len(PLACES))]
    for whose, places in (("its", [place_back(back[:2]) for back in backs]), ("our", own)):
        laid = [paste_onto(p, face, place) for p, place in zip(pictures, places, strict=True)]
        figured = report_difference(f"steps.laid back, {whose} places", np.stack(laid), np.stack(before))
        name = f"steps.laid back.levels, {whose} places"
        figured |= levels(name, np.stack(laid).astype(np.uint8), np.stack(frames))
        if whose == "its":
            figures_by_name |= {key.removesuffix(", its places"): value for key, value in figured.items()}
    return figures_by_name


def _whole(original: Original, name: str, run: Run) -> dict[str, Array]:
    name = f"steps.{name}"
    networks = steps.networks_of_seed()
    theirs = original.whole(run)
    figures_by_name: dict[str, Array] = {
        f"{name}.sources": np.stack(theirs.sources),
        f"{name}.backs": np.stack(theirs.backs),
        f"{name}.driving": theirs.driving,
    }
    backs = [place_back(back) for back in theirs.backs]
    for whose in ("its", "our"):
        arguments: tuple[Any, ...] = (theirs.sources, theirs.driving) if whose == "its" else ()
        ours = steps.ours(run, networks, *arguments)
        places = backs if whose == "its" else ours.sources
        before = steps.paste_as_cut(run, ours.rendered, places)
        end = f", {whose} places"
        figured = report_difference(f"{name}.keypoints{end}", ours.keypoints, theirs.keypoints)
        figured |= report_difference(f"{name}.made{end}", ours.rendered, theirs.rendered)
        drawn, its_drawn = (
            np.floor(output * np.float32(LEVELS)) for output in (ours.rendered, theirs.rendered)
        )
        levels(f"{name}.made, cut{end}", drawn, its_drawn)
        drawn, its_drawn = (
            np.rint(output * np.float32(LEVELS)) for output in (ours.rendered, theirs.rendered)
        )
        levels(f"{name}.made, rounded{end}", drawn, its_drawn)
        if whose == "its":
            known = steps.paste_as_cut(run, theirs.rendered, places)
            report_difference(f"{name}.before of its drawn faces{end}", known, theirs.before)
        figured |= report_difference(f"{name}.before{end}", before, theirs.before)
        levels(f"{name}.frames, cut as it does{end}", before.astype(np.uint8), theirs.frames)
        levels(f"{name}.frames, ours as they are{end}", ours.frames, theirs.frames)
        figured |= levels(f"{name}.rounded{end}", ours.frames, theirs.rounded)
        if whose == "its":
            figures_by_name |= {key.removesuffix(end): value for key, value in figured.items()}
    return figures_by_name
