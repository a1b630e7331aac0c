"""Writes a backup to a file as its bytes come from the studio; called by `soundstage backup`."""

from __future__ import annotations

import asyncio
import os
import tarfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from app.archive.contents import check_names, header_of, manifest_of, padding_of
from app.archive.manifest import MANIFEST, Manifest, Member, sha256_of
from soundstage.errors import Conflict, NotFound, StorageFull
from soundstage.private_files import OWNER_ONLY


@dataclass(frozen=True, slots=True)
class Backup:
    path: Path
    members: int
    bytes: int


async def check_target(target: Path) -> None:
    """Raise Conflict where something is at `target`, NotFound where its folder is not."""
    if await asyncio.to_thread(target.exists):
        raise Conflict("backup.exists", f"{target} is there already.", hint="Choose another name.")
    if not await asyncio.to_thread(target.parent.is_dir):
        # A folder made here would hide a misspelt path, or a disk that is not mounted.
        raise NotFound(
            "backup.no_folder",
            f"There is no folder {target.parent}.",
            hint="Make it, or mount its disk, first.",
        )


async def save(chunks: AsyncIterator[bytes], target: Path, keys: Sequence[tuple[str, Path]] = ()) -> Backup:
    """One tar file at `target`, readable by its owner only; it appears under its name only when it is whole.

    `keys` are the private keys of the installation with their names in the archive: they come from the state
    folder and never over the API. Raises StorageFull.
    """
    await check_target(target)
    check_names(list(keys))
    half = target.with_name(target.name + ".part")
    try:
        file = await asyncio.to_thread(_create, half)
        try:
            with file:
                async for chunk in chunks:
                    await asyncio.to_thread(file.write, chunk)
                members = await asyncio.to_thread(_finish, file, keys)
                written = file.seek(0, os.SEEK_END)
            half.replace(target)
        finally:
            half.unlink(missing_ok=True)
    except OSError as error:
        raise StorageFull(
            "backup.failed",
            f"The backup could not be written: {error.strerror or error}.",
            hint=f"Check that {target.parent} may be written to and has room.",
        ) from error
    return Backup(target, members, written)


def _create(path: Path) -> BinaryIO:
    """Open a new file that only its owner may read, in the place of one that was left over.

    In a folder that others write to, such as /tmp, a link may be there, or come between: it is not followed.
    """
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, OWNER_ONLY)
    return os.fdopen(descriptor, "w+b")


def _finish(out: BinaryIO, keys: Sequence[tuple[str, Path]]) -> int:
    """Put the keys before the list of contents, which names them too; return the number of members.

    Only by the descriptor: what lies under the name may be another file by now.
    """
    out.seek(0)
    try:
        with tarfile.open(fileobj=out, mode="r:") as archive:
            last = archive.getmember(MANIFEST)
            file = archive.extractfile(last)
            listed = Manifest.model_validate_json(file.read() if file is not None else b"")
    except (tarfile.TarError, KeyError, ValueError) as error:
        raise OSError("the server sent no whole archive") from error
    if not keys:
        return len(listed.members)
    members = list(listed.members)
    out.seek(last.offset)
    out.truncate()
    for name, path in keys:
        content = path.read_bytes()
        members.append(Member(path=name, sha256=sha256_of(path), bytes=len(content)))
        out.write(header_of(name, len(content)) + content + padding_of(len(content)))
    text = manifest_of(members, listed.revision).model_dump_json(indent=1).encode()
    out.write(header_of(MANIFEST, len(text)) + text + padding_of(len(text)))
    out.write(bytes(2 * tarfile.BLOCKSIZE))
    return len(members)
