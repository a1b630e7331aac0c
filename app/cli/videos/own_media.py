"""Files of this machine that a spec names: they are uploaded, so that the studio needs no path of ours."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TypeVar

from avatar.spec import MediaRef, SpecModel

from app.cli.studio_api import StudioApi
from soundstage.errors import SoundstageError
from studio.renders.media import replace_paths

Model = TypeVar("Model", bound=SpecModel)


@asynccontextmanager
async def upload_media(api: StudioApi, spec: Model, folder: Path) -> AsyncIterator[Model]:
    """The spec with the hashes of its files in the place of their paths. The assets last as long as the
    block: a render that was made in it holds its files itself.
    """
    assets: list[str] = []

    async def store(path: Path) -> MediaRef:
        asset = await api.upload(path)
        assets.append(asset["id"])
        return MediaRef(sha256=asset["sha256"], media_type=asset["media_type"])

    try:
        yield await replace_paths(spec, folder, store)
    finally:
        for asset in assets:
            with suppress(SoundstageError):
                await api.delete(f"/api/assets/{asset}")
