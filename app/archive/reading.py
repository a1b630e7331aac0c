"""Puts a backup back after checking every hash in it; called by `soundstage restore`."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import tarfile
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from app.archive.machines import MachineState
from app.archive.manifest import (
    DATABASE,
    FORMAT,
    KEYS,
    MANIFEST,
    PROVISIONING,
    READABLE,
    Manifest,
    is_known_member,
    sha256_of,
)
from app.migrating import PROVISIONING as MACHINES
from app.migrating import STUDIO, refuse_before_baseline
from soundstage.blobs import BlobStore
from soundstage.database import Database, restore_sqlite
from soundstage.errors import Conflict, Invalid, NotFound
from soundstage.private_files import write_anew


@dataclass(frozen=True, slots=True)
class Restored:
    """`old_database` is where the database that was there before lies now; `machines` and `keys` say whether
    those of the provisioning process came back, and how many keys did. `replaced` are other keys that were
    here: what the new ones prove is worth as much as the archive.
    """

    members: int
    revision: str | None
    old_database: Path | None
    machines: bool = False
    keys: int = 0
    replaced: tuple[Path, ...] = ()


async def restore(
    database: Database,
    blobs: BlobStore,
    personas: Path,
    archive: Path,
    *,
    force: bool,
    machines: MachineState | None = None,
) -> Restored:
    """Checks the whole archive before anything is touched; a state that holds something needs `force`.

    Machines that came back need `close_pending` before their process starts.
    """
    if database.path is None:
        raise Invalid(
            "backup.sqlite_only", "Only an embedded SQLite database can be restored here.", hint="Use psql."
        )
    if not await asyncio.to_thread(archive.is_file):
        raise NotFound("backup.not_found", f"There is no file {archive}.", hint="Check the path.")
    if not force and await _holds_something(database.path, blobs, personas):
        raise Conflict(
            "restore.not_empty",
            f"There is a database or there are files in {database.path.parent} already.",
            hint="Use an empty state folder, or --force to put the backup in its place.",
        )
    database.path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".restore-", dir=database.path.parent) as folder:
        manifest = await asyncio.to_thread(_unpack, archive, Path(folder))
        for name, tree in ((DATABASE, STUDIO), (PROVISIONING, MACHINES)):
            refuse_before_baseline(await asyncio.to_thread(_revision_of, Path(folder) / name), tree)
        for member in manifest.members:
            if member.path.startswith("blobs/"):
                await blobs.put_file(Path(folder) / member.path)
        unpacked = Path(folder)
        if machines is not None and not force:
            await asyncio.to_thread(_check_machines, unpacked, machines)
        await database.close()
        old_database = await asyncio.to_thread(restore_sqlite, Path(folder) / DATABASE, database.path)
        await asyncio.to_thread(_place_personas, unpacked / "personas", personas)
        came, keys = False, 0
        replaced: tuple[Path, ...] = ()
        if machines is not None:
            came, keys, replaced = await asyncio.to_thread(_place_machines, unpacked, machines)
    return Restored(len(manifest.members), manifest.revision, old_database, came, keys, replaced)


async def _holds_something(database: Path, blobs: BlobStore, personas: Path) -> bool:
    if await asyncio.to_thread(lambda: database.exists() or any(personas.rglob("*.y*ml"))):
        return True
    async for _ in blobs.iterate():
        return True
    return False


def _unpack(archive: Path, folder: Path) -> Manifest:
    found: dict[str, tuple[str, int]] = {}
    manifest: Manifest | None = None
    try:
        with tarfile.open(archive, "r") as source:
            for info in source:
                if info.name == MANIFEST and info.isreg():
                    manifest = _manifest(source, info)
                    continue
                if not info.isreg() or not is_known_member(info.name):
                    raise _damaged(archive, f"it holds {info.name!r}, which no backup has")
                target = folder / info.name
                target.parent.mkdir(parents=True, exist_ok=True)
                _copy_member(source, info, target)
                found[info.name] = (sha256_of(target), target.stat().st_size)
    except (tarfile.TarError, EOFError, ValidationError) as error:
        raise _damaged(archive, "it cannot be read to its end") from error
    if manifest is None:
        raise _damaged(archive, "its list of contents is missing; it was cut off")
    if manifest.format not in READABLE:
        raise _damaged(archive, f"its format is {manifest.format}, this version reads {FORMAT}")
    expected = {member.path: (member.sha256, member.bytes) for member in manifest.members}
    for path in sorted(expected.keys() | found.keys()):
        if expected.get(path) != found.get(path):
            raise _damaged(archive, f"{path} is not what the list of contents says")
    if DATABASE not in expected:
        raise _damaged(archive, "there is no database in it")
    return manifest


def _manifest(source: tarfile.TarFile, info: tarfile.TarInfo) -> Manifest:
    file = source.extractfile(info)
    return Manifest.model_validate_json(file.read() if file is not None else b"")


def _revision_of(copy: Path) -> str | None:
    """Returns None without a database or a revision in it; `restore_sqlite` checks the rest."""
    try:
        with closing(sqlite3.connect(f"file:{copy}?mode=ro", uri=True)) as connection:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error:
        return None
    return None if row is None else str(row[0])


def _copy_member(source: tarfile.TarFile, info: tarfile.TarInfo, target: Path) -> None:
    file = source.extractfile(info)
    if file is None:
        raise tarfile.ReadError(info.name)
    with file, target.open("wb") as copy:
        shutil.copyfileobj(file, copy, 1 << 20)


def _place_personas(source: Path, target: Path) -> None:
    if not source.is_dir():
        return
    target.mkdir(parents=True, exist_ok=True)
    for path in (one for one in source.rglob("*") if one.is_file()):
        placed = target / path.relative_to(source)
        placed.parent.mkdir(exist_ok=True)
        half = placed.with_name(f"{placed.name}.part")
        shutil.copyfile(path, half)
        half.replace(placed)


def _check_machines(source: Path, target: MachineState) -> None:
    taken = [target.database] if (source / PROVISIONING).exists() and target.database is not None else []
    taken += [path for path, content in _keys_in(source, target) if _differs(path, content)]
    if found := [path for path in taken if path.exists()]:
        raise Conflict(
            "restore.not_empty",
            f"There is something in {found[0].parent} already.",
            hint="Use an empty state folder, or --force to put the backup in its place.",
        )


def _place_machines(source: Path, target: MachineState) -> tuple[bool, int, tuple[Path, ...]]:
    """Keys first: a database without them would get new authorities at the next start."""
    keys = _keys_in(source, target)
    replaced = tuple(path for path, content in keys if _differs(path, content))
    for path, content in keys:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if path in replaced:
            path.replace(path.with_name(f"{path.name}.before-restore"))
        write_anew(path, content)
    copy = source / PROVISIONING
    if target.database is None or not copy.exists():
        return False, len(keys), replaced
    restore_sqlite(copy, target.database)
    return True, len(keys), replaced


def _keys_in(source: Path, target: MachineState) -> list[tuple[Path, bytes]]:
    """Returns the path of each key, and its content."""
    return [
        (folder / path.name, path.read_bytes())
        for owner, folder in target.key_folders.items()
        for path in sorted((source / KEYS / owner).glob("*"))
    ]


def _differs(path: Path, content: bytes) -> bool:
    return path.exists() and path.read_bytes() != content


def _damaged(archive: Path, reason: str) -> Invalid:
    return Invalid(
        "backup.damaged",
        f"{archive} cannot be restored: {reason}.",
        hint="Nothing was changed. Take another backup.",
    )
