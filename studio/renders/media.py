"""Finds and replaces the files a spec refers to; used when a render is created and when the CLI brings its
own files.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator
from pathlib import Path
from typing import Any, TypeVar

from avatar.spec import MediaRef, SpecModel
from pydantic import BaseModel

from soundstage.blobs import BlobStore
from soundstage.database import Database
from soundstage.errors import Invalid, NotFound
from studio.references.repository import References

Model = TypeVar("Model", bound=SpecModel)


def media_in(value: Any, where: str = "") -> Iterator[tuple[str, MediaRef]]:
    """Every file a spec names, with the path of its field. The evidence of a consent is no input of a
    video.
    """
    if isinstance(value, MediaRef):
        yield where, value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            if name != "evidence":
                yield from media_in(getattr(value, name), f"{where}.{name}" if where else name)
    elif isinstance(value, (tuple, list)):
        for index, item in enumerate(value):
            yield from media_in(item, f"{where}[{index}]")


def hashes_in(value: Any) -> set[str]:
    return {ref.sha256 for _, ref in media_in(value) if ref.sha256 is not None}


async def check_media(
    spec: BaseModel, blobs: BlobStore, db: Database, allowed: Collection[str] = ()
) -> dict[str, int]:
    """Bytes of each blob the spec needs. Raises for paths, which a server must not read, and for hashes that
    are unknown, or known only elsewhere. `given` are those that the caller answers for.
    """
    named = hashes_in(spec)
    if unchecked := named - set(allowed):
        async with db.session() as session:
            named -= unchecked - await References(session).usable(unchecked)
    sizes: dict[str, int] = {}
    for where, ref in media_in(spec):
        if ref.path is not None or ref.sha256 is None:
            raise Invalid(
                "media.path_refused",
                f"{where} names a file by its path.",
                "Upload it as an asset and name its `sha256`.",
            )
        found = await blobs.stat(ref.sha256) if ref.sha256 in named else None
        if found is None:
            raise NotFound(
                "media.not_found", f"The file of {where} is not here (any more).", "Upload it again."
            )
        sizes[ref.sha256] = found.bytes
    return sizes


async def replace_paths(spec: Model, folder: Path, store: Callable[[Path], Awaitable[MediaRef]]) -> Model:
    """Return the spec with every path (relative to `folder`) replaced by what `store` made of the file.

    Raises NotFound `media.not_found`.
    """

    async def store_path(ref: MediaRef) -> MediaRef:
        if ref.path is None:
            return ref
        path = (folder / ref.path).resolve()
        if not await asyncio.to_thread(path.is_file):
            raise NotFound(
                "media.not_found", f"There is no file {ref.path}.", f"Check the path: it leads to {path}."
            )
        found = await store(path)
        return found.model_copy(update={"name": ref.name or path.name})

    replaced: Model = await _replace(spec, store_path)
    return replaced


async def _replace(value: Any, change: Callable[[MediaRef], Awaitable[MediaRef]]) -> Any:
    if isinstance(value, MediaRef):
        return await change(value)
    if isinstance(value, BaseModel):
        fields = {name: await _replace(getattr(value, name), change) for name in type(value).model_fields}
        return value.model_copy(update=fields)
    if isinstance(value, tuple):
        return tuple([await _replace(item, change) for item in value])
    return value
