"""Measures a portrait once and stores the measures as JSON; `avatar prepare` calls it."""

from __future__ import annotations

from pathlib import Path

from avatar.pipeline.context import Context
from avatar.pipeline.files import describe
from avatar.spec import Finished, MediaRef, StageStarted


def prepare_photo(image: Path, target: Path, face_index: int | None, context: Context) -> Finished:
    """Write the measured portrait of `image` to `target`. Raises what the face tracker says about the
    picture.
    """
    from avatar.face.pictures import read_picture
    from avatar.face.portrait import prepare_portrait, save_portrait
    from avatar.spec.base import sha256_of

    context.tell(StageStarted(stage="prepare"))
    path = context.resolve(MediaRef(path=str(image), name=image.name))
    portrait = prepare_portrait(read_picture(path), sha256_of(path), face_index=face_index)
    notices = portrait.notices()
    for notice in notices:
        context.tell(notice)
    context.check()
    save_portrait(portrait, target)
    return Finished(files=(describe("portrait", target),), duration_ms=0, frames=0, warnings=notices)
