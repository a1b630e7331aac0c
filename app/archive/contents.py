"""Streams a backup as the bytes of a tar file; for the studio's route while it serves."""

from __future__ import annotations

import asyncio
import hashlib
import io
import tarfile
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import BinaryIO

from app.archive.manifest import DATABASE, MANIFEST, PROVISIONING, Manifest, Member, is_known_member
from app.migrating import current_revision
from soundstage.blobs import BlobStore
from soundstage.database import Database, backup_sqlite, utcnow
from soundstage.errors import Invalid, NotFound
from studio.personas.library import COMPILED_SUFFIX

READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class _Planned:
    """A member to be. `find` raises NotFound where its file has been collected meanwhile."""

    name: str
    find: Callable[[], Awaitable[Path]]


@dataclass(frozen=True, slots=True)
class Contents:
    """The members of one archive, in their order."""

    planned: tuple[_Planned, ...]
    revision: str | None

    async def chunks(self) -> AsyncIterator[bytes]:
        """The bytes of the archive; the list of its contents is the last member, so that one that was cut off
        is known. Raises OSError for a file that cannot be read.
        """
        members: list[Member] = []
        for planned in self.planned:
            try:
                opened = (await planned.find()).open("rb")
            except (NotFound, FileNotFoundError):
                continue
            with opened:
                size = opened.seek(0, io.SEEK_END)
                opened.seek(0)
                yield header_of(planned.name, size)
                digest = hashlib.sha256()
                async for chunk in _exactly(opened, size):
                    digest.update(chunk)
                    yield chunk
            members.append(Member(path=planned.name, sha256=digest.hexdigest(), bytes=size))
            yield padding_of(size)
        listed = manifest_of(members, self.revision).model_dump_json(indent=1).encode()
        yield header_of(MANIFEST, len(listed)) + listed + padding_of(len(listed))
        yield bytes(2 * tarfile.BLOCKSIZE)


async def gather(
    database: Database, blobs: BlobStore, personas: Path, folder: Path, machines: Path | None
) -> Contents:
    """Copy the databases into `folder` and list what else there is. `machines`: the database of the
    provisioning process. Raises Invalid for what no backup can hold.

    The database is copied first: all files that it names are there when they are listed, or were collected.
    """
    if database.path is None:
        raise Invalid(
            "backup.sqlite_only",
            "Only an embedded SQLite database can be backed up here.",
            hint="Use pg_dump for PostgreSQL, and copy the blob store.",
        )
    revision = await current_revision(database)
    files = [(DATABASE, await asyncio.to_thread(backup_sqlite, database.path, folder / DATABASE))]
    hashes = sorted([found.sha256 async for found in blobs.iterate()])
    files += await asyncio.to_thread(_persona_files, personas)
    if machines is not None and await asyncio.to_thread(machines.is_file):
        files.append((PROVISIONING, await asyncio.to_thread(backup_sqlite, machines, folder / PROVISIONING)))
    planned = [_Planned(name, partial(_at_once, path)) for name, path in files]
    for sha256 in hashes:
        digits = sha256.removeprefix("sha256:")
        planned.append(_Planned(f"blobs/{digits[:2]}/{digits}", partial(blobs.local_path, sha256)))
    return Contents(tuple(planned), revision)


def check_names(files: list[tuple[str, Path]]) -> None:
    """Raise Invalid for a file whose name no restore would take."""
    for name, path in files:
        if not is_known_member(name):
            raise Invalid(
                "backup.odd_name",
                f"{path} has a name that no backup could give back.",
                "Rename it: letters, digits, dots, dashes and underscores.",
            )


def header_of(name: str, size: int) -> bytes:
    """Return the header of a member that only its owner may read."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o600
    return info.tobuf(tarfile.PAX_FORMAT)


def padding_of(size: int) -> bytes:
    """Return what fills the last block of a member."""
    return bytes(-size % tarfile.BLOCKSIZE)


def manifest_of(members: list[Member], revision: str | None) -> Manifest:
    """Return the list of contents."""
    return Manifest(
        made_by=f"soundstage {version('soundstage')}",
        made_at=utcnow(),
        revision=revision,
        members=tuple(members),
    )


def _persona_files(folder: Path) -> list[tuple[str, Path]]:
    """The files of personas, each tenant's in its folder, and what dossiers left beside them."""
    patterns = (f"{below}{name}" for below in ("", "*/") for name in ("*.y*ml", f"*{COMPILED_SUFFIX}"))
    found = {path for pattern in patterns for path in folder.glob(pattern) if path.is_file()}
    files = [(f"personas/{path.relative_to(folder).as_posix()}", path) for path in sorted(found)]
    check_names(files)
    return files


async def _exactly(opened: BinaryIO, size: int) -> AsyncIterator[bytes]:
    """A file that is being written to changes under its header."""
    while size > 0:
        chunk = await asyncio.to_thread(opened.read, min(READ_BYTES, size))
        if not chunk:
            raise OSError(f"{opened.name} became shorter while it was read")
        size -= len(chunk)
        yield chunk


async def _at_once(path: Path) -> Path:
    return path
