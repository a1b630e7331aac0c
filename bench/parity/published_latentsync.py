"""The published LatentSync, opened from a working tree of it and run on given frames and sounds.

It needs torch and what the original imports: diffusers, einops, kornia 0.8.0, OmegaConf, torchvision, decord,
ffmpeg-python, soundfile, more-itertools, tiktoken, tqdm.
"""

from __future__ import annotations

import contextlib
import io
import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "avatar/src"), str(ROOT / "tests/avatar/parity")]

import latentsync_cases as cases  # noqa: E402
import numpy as np  # noqa: E402
import numpy.typing as npt  # noqa: E402
import torch  # noqa: E402
from avatar.engines.latentsync.shapes import UNetShape  # noqa: E402
from diffusers import AutoencoderKL, DDIMScheduler  # noqa: E402

Pixels = npt.NDArray[np.uint8]

GROUPS = ((43, 48, 49, 50, 51), range(101, 106), (74, 77, 83, 86))
"""Of its 106 landmarks, those whose means are the left brow, the right brow and the nose."""


class _Stopped(Exception):
    """The original has given all we want of it."""


@dataclass(frozen=True)
class Taken:
    """Inputs of the original's pipeline. pictures: RGB, all of one size. anchors: left brow, right brow
    and nose of each, whole pixels, for its own detector is not free. crop: takes the place of its own crops.
    """

    samples: Any
    pictures: Pixels
    anchors: Any
    side_px: int
    steps: int
    guidance: float
    chunk: int
    seed: int
    device: str = "cpu"
    dtype: torch.dtype = torch.float32
    crop: Callable[[Pixels, Any], Pixels] | None = None


def open_original(checkout: Path) -> None:
    """Make its modules importable. A face detector that is not free and a tokenizer are not needed here."""
    # Its packages have no __init__.py, so this file, which has the name of one, must not be found first.
    sys.path[:] = [str(checkout), *(place for place in sys.path if place != str(Path(__file__).parent))]
    for name, members in {
        "insightface": {},
        "insightface.app": {"FaceAnalysis": object},
        "transformers": {"GPT2TokenizerFast": object},
    }.items():
        module: Any = types.ModuleType(name)
        vars(module).update(members)
        sys.modules[name] = module


def original_whisper() -> Any:
    from latentsync.whisper.whisper.model import ModelDimensions, Whisper

    model = Whisper(ModelDimensions(80, 1500, 384, 6, 4, 51865, 448, 384, 6, 4))
    cases.fill(model, 2, only="encoder.")
    return model


def original_hearing() -> Any:
    from latentsync.whisper.audio2feature import Audio2Feature

    hearing = object.__new__(Audio2Feature)
    hearing.model = original_whisper()
    hearing.audio_embeds_cache_dir = None
    hearing.num_frames, hearing.embedding_dim, hearing.audio_feat_length = 16, 384, [2, 2]
    return hearing


def unet_config(shape: UNetShape) -> dict[str, Any]:
    """stage2_512.yaml with the widths of `shape`."""
    from omegaconf import OmegaConf

    path = Path(sys.path[0]) / "configs/unet/stage2_512.yaml"
    config: Any = OmegaConf.to_container(OmegaConf.load(path)["model"])
    return dict(config | {"block_out_channels": list(shape.block_channels)})


def original_unet(shape: UNetShape = cases.SMALL) -> Any:
    network = empty_unet(shape)
    cases.fill(network, 1)
    return network


def empty_unet(shape: UNetShape) -> Any:
    """Returns the original's denoiser for weights that are loaded next: filling 1.3 billion takes minutes."""
    from latentsync.models.unet import UNet3DConditionModel

    return UNet3DConditionModel.from_config(unet_config(shape))


def scheduler() -> Any:
    return DDIMScheduler.from_pretrained(str(Path(sys.path[0]) / "configs"))


def original_restorer(
    side_px: int = cases.SIDE_PX, device: str = "cpu", dtype: torch.dtype = torch.float32
) -> Any:
    from latentsync.utils.affine_transform import AlignRestore

    return AlignRestore(resolution=side_px, device=device, dtype=dtype)


@contextlib.contextmanager
def before_levels() -> Iterator[list[Any]]:
    """The pictures (h, w, 3) of its crops and finished frames, in order, before it cuts them to levels."""
    from latentsync.utils import affine_transform as module

    caught: list[Any] = []
    real = module.rearrange

    def log_shape(tensor: Any, pattern: str) -> Any:
        network = real(tensor, pattern)
        if pattern == "c h w -> h w c":
            caught.append(network.clone())
        return network

    module.rearrange = log_shape
    try:
        yield caught
    finally:
        module.rearrange = real


class _Points:
    """Stands for its face detector: landmarks whose groups have the given anchors as their means."""

    def __init__(self, anchors: Any) -> None:
        self._anchors = iter(anchors)

    def __call__(self, image: Any) -> tuple[list[int], Any]:
        marks = np.zeros((106, 2))
        for group, anchor in zip(GROUPS, next(self._anchors), strict=True):
            marks[list(group)] = anchor
        return [0, 0, image.shape[1], image.shape[0]], marks


def run(taken: Taken, vae: Any, unet: Any, hearing: Any) -> dict[str, Any]:
    """Its pipeline from frames and sound to drawn `faces` and finished `frames`, with its own alignment,
    crops, mask and laying back; only files are left out. `crops` are what its networks were shown.
    """
    from latentsync.pipelines import lipsync_pipeline as module
    from latentsync.utils.image_processor import ImageProcessor

    anchors = iter(taken.anchors)
    caught: dict[str, Any] = {"crops": []}

    class Processor(ImageProcessor):
        def __init__(self, resolution: int, device: str, mask_image: Any) -> None:
            super().__init__(resolution, "cpu", mask_image)
            self.restorer = original_restorer(resolution, taken.device, taken.dtype)
            self.face_detector = _Points(taken.anchors)

        def affine_transform(self, image: Any) -> Any:
            crop, box, matrix = super().affine_transform(image)
            if taken.crop:
                crop = torch.from_numpy(taken.crop(image, next(anchors))).permute(2, 0, 1)
            caught["crops"].append(crop)
            return crop, box, matrix

    class Pipeline(module.LipsyncPipeline):
        def restore_video(self, faces: Any, *rest: Any) -> Any:
            caught["faces"] = faces
            caught["frames"] = super().restore_video(faces, *rest)
            raise _Stopped

    pipeline = Pipeline(vae, hearing, unet, scheduler()).to(taken.device)
    module.ImageProcessor = Processor
    module.read_audio = lambda path: torch.from_numpy(taken.samples)
    module.read_video = lambda path, **_: taken.pictures
    module.check_ffmpeg_installed = lambda: None
    quiet = io.StringIO()
    with (
        contextlib.suppress(_Stopped),
        contextlib.redirect_stdout(quiet),
        contextlib.redirect_stderr(quiet),
    ):
        pipeline(
            "", torch.from_numpy(taken.samples), "", num_frames=taken.chunk, height=taken.side_px,
            width=taken.side_px, num_inference_steps=taken.steps, guidance_scale=taken.guidance,
            weight_dtype=taken.dtype, mask_image_path=str(mask_file()),
            generator=torch.Generator(taken.device).manual_seed(taken.seed),
        )  # fmt: skip
    return caught


def mask_file() -> Path:
    return Path(sys.path[0]) / "latentsync/utils/mask.png"


def original_vae(config: dict[str, Any]) -> Any:
    vae = AutoencoderKL(**cases.open_vae(**config).config)
    vae.register_to_config(scaling_factor=0.18215, shift_factor=0)
    return vae
