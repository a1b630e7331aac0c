"""Writes a backup while the server may be running; called by `soundstage backup`."""

from __future__ import annotations

import asyncio
import io
import tarfile
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from app.archive.machines import MachineState
from app.archive.manifest import DATABASE, MANIFEST, PROVISIONING, Manifest, Member, known_member, sha256_of
from app.migrating import current_revision
from soundstage.blobs import BlobStore
from soundstage.database import Database, backup_sqlite, utcnow
from soundstage.errors import Conflict, Invalid, NotFound, StorageFull
from studio.personas.library import COMPILED_SUFFIX


@dataclass(frozen=True, slots=True)
class Backup:
    path: Path
    members: int
    bytes: int


async def backup(
    database: Database,
    blobs: BlobStore,
    personas: Path,
    target: Path,
    *,
    machines: MachineState | None = None,
    with_keys: bool = False,
) -> Backup:
    """One tar file at `target`, readable by its owner only; it appears under its name only when it is whole.

    `machines` adds the database of the provisioning process, `with_keys` the private keys of this
    installation.

    The database is copied first. A blob made later is not in it, and one collected in between is not missed.
    """
    if database.path is None:
        raise Invalid(
            "backup.sqlite_only",
            "Only an embedded SQLite database can be backed up here.",
            hint="Use pg_dump for PostgreSQL, and copy the blob store.",
        )
    if await asyncio.to_thread(target.exists):
        raise Conflict("backup.exists", f"{target} is there already.", hint="Choose another name.")
    if not await asyncio.to_thread(target.parent.is_dir):
        # A folder made here would hide a misspelt path, or a disk that is not mounted.
        raise NotFound(
            "backup.no_folder",
            f"There is no folder {target.parent}.",
            hint="Make it, or mount its disk, first.",
        )
    revision = await current_revision(database)
    hashes = sorted([found.sha256 async for found in blobs.iterate()])
    with tempfile.TemporaryDirectory(prefix="soundstage-backup-") as folder:
        copy = await asyncio.to_thread(backup_sqlite, database.path, Path(folder) / DATABASE)
        files = [(DATABASE, copy), *_persona_files(personas)]
        if machines is not None and machines.database is not None and machines.database.is_file():
            copy = await asyncio.to_thread(backup_sqlite, machines.database, Path(folder) / PROVISIONING)
            files.append((PROVISIONING, copy))
        if machines is not None and with_keys:
            files += await asyncio.to_thread(machines.keys)
        for sha256 in hashes:
            digits = sha256.removeprefix("sha256:")
            try:
                files.append((f"blobs/{digits[:2]}/{digits}", await blobs.local_path(sha256)))
            except NotFound:
                continue
        return await asyncio.to_thread(_write, files, target, revision)


def _persona_files(folder: Path) -> list[tuple[str, Path]]:
    """The files of personas, each tenant's in its folder, and what dossiers left beside them."""
    patterns = (f"{below}{name}" for below in ("", "*/") for name in ("*.y*ml", f"*{COMPILED_SUFFIX}"))
    found = {path for pattern in patterns for path in folder.glob(pattern) if path.is_file()}
    return [(f"personas/{path.relative_to(folder).as_posix()}", path) for path in sorted(found)]


def _write(files: list[tuple[str, Path]], target: Path, revision: str | None) -> Backup:
    for name, path in files:
        if not known_member(name):
            raise Invalid(
                "backup.odd_name",
                f"{path} has a name that no backup could give back.",
                "Rename it: letters, digits, dots, dashes and underscores.",
            )
    half = target.with_name(target.name + ".part")
    members: list[Member] = []
    try:
        half.unlink(missing_ok=True)
        half.touch(mode=0o600)
        with tarfile.open(half, "w") as archive:
            for name, path in files:
                member = Member(path=name, sha256=sha256_of(path), bytes=path.stat().st_size)
                archive.add(path, arcname=name, recursive=False, filter=_without_owner)
                members.append(member)
            manifest = Manifest(
                made_by=f"soundstage {version('soundstage')}",
                made_at=utcnow(),
                revision=revision,
                members=tuple(members),
            )
            _add_bytes(archive, MANIFEST, manifest.model_dump_json(indent=1).encode())
        half.replace(target)
    except OSError as error:
        half.unlink(missing_ok=True)
        raise StorageFull(
            "backup.failed",
            f"The backup could not be written: {error.strerror or error}.",
            hint=f"Check that {target.parent} may be written to and has room.",
        ) from error
    return Backup(target, len(members), target.stat().st_size)


def _without_owner(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    info.mode = 0o600
    return info


def _add_bytes(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    info.mode = 0o600
    archive.addfile(info, io.BytesIO(data))
