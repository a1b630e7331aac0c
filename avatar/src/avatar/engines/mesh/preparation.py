"""Takes a photo from file to stage, each step done once and kept under the cache folder by content hash."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avatar.encode.atomic import atomic_file
from avatar.engines.mesh.stage import Stage, set_stage
from avatar.errors import InvalidInput
from avatar.face.landmarks import Picture
from avatar.face.pictures import read_picture
from avatar.face.portrait import (
    VERSION,
    Portrait,
    load_portrait,
    prepare_portrait,
    save_portrait,
)
from avatar.face.search import rotate_picture
from avatar.spec import Notice
from avatar.spec.base import sha256_of

_STAGE_VERSION = 3


@dataclass(frozen=True, slots=True)
class PreparedStage:
    """A stage and what is to be said about its portrait."""

    stage: Stage
    notices: tuple[Notice, ...]


def prepare_stage(
    picture: Path, portrait: Path | None, face_index: int | None, size: tuple[int, int], cache: Path
) -> PreparedStage:
    """The stage of a photo for an output of `size`, from the cache when it was made before.

    Safe to call from several processes at once: files appear complete or not at all, and equal work gives
    equal files. Raises what `read_picture`, `prepare_portrait` and `load_portrait` raise, and InvalidInput
    portrait.other_picture.
    """
    if not picture.is_file():
        read_picture(picture)  # raises the right error
    picture_hash = sha256_of(picture)
    portrait_hash = sha256_of(portrait) if portrait is not None and portrait.is_file() else ""
    key = f"{_STAGE_VERSION} {VERSION} {picture_hash} {portrait_hash} {face_index} {size[0]}x{size[1]}"
    path = cache / "stages" / f"{hashlib.sha256(key.encode()).hexdigest()}.npz"
    known = _load_stage(path)
    if known is not None:
        return known
    image = read_picture(picture)
    if portrait is not None:
        measured = load_portrait(portrait)
        if (
            measured.picture_sha256 != picture_hash
            or (
                measured.height,
                measured.width,
            )
            != rotate_picture(image, measured.turns).shape[:2]
        ):
            raise InvalidInput(
                "portrait.other_picture",
                f"{portrait.name} was prepared from another picture than {picture.name}.",
                "Prepare this picture, or leave the prepared portrait out.",
            )
    else:
        measured = measure_portrait(image, picture_hash, face_index, cache)
    stage = PreparedStage(
        set_stage(rotate_picture(image, measured.turns), measured, size), measured.notices()
    )
    _save_stage(stage, path)
    return stage


def measure_portrait(image: Picture, picture_hash: str, face_index: int | None, cache: Path) -> Portrait:
    """The prepared portrait of a picture from the cache, measured now when it is not there."""
    which = "largest" if face_index is None else str(face_index)
    name = f"{picture_hash.removeprefix('sha256:')}-{which}-v{VERSION}.{_STAGE_VERSION}.json"
    path = cache / "portraits" / name
    if path.is_file():
        try:
            return load_portrait(path)
        except InvalidInput:
            path.unlink(missing_ok=True)  # a damaged cache entry is made again
    portrait = prepare_portrait(image, picture_hash, face_index=face_index)
    save_portrait(portrait, path)
    return portrait


def upright_size(
    picture: Path, portrait: Path | None, face_index: int | None, cache: Path
) -> tuple[int, int]:
    """(width, height) of the picture once it stands upright. Raises as `prepare_stage`."""
    if portrait is not None:
        measured = load_portrait(portrait)
    else:
        measured = measure_portrait(read_picture(picture), sha256_of(picture), face_index, cache)
    return measured.width, measured.height


def _load_stage(path: Path) -> PreparedStage | None:
    try:
        with np.load(path, allow_pickle=False) as file:
            mask = file["mask"].astype(np.float32) / np.float32(255)
            stage = Stage(file["pixels"], mask, file["points"])
            notices = (Notice.model_validate_json(str(line)) for line in file["notices"])
            return PreparedStage(stage, tuple(notices))
    except FileNotFoundError:
        return None
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
        path.unlink(missing_ok=True)  # a damaged cache entry is made again
        return None


def _save_stage(stage: PreparedStage, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as part, part.open("wb") as file:
        np.savez(
            file,
            pixels=stage.stage.pixels,
            mask=np.round(stage.stage.mask * 255).astype(np.uint8),
            points=stage.stage.points,
            notices=np.array([notice.model_dump_json() for notice in stage.notices], dtype=np.str_),
        )
