"""Takes copies: the parts of this machine in a private folder for as long as the run lasts, then encrypted
in the repository; and brings copies of the former, unencrypted form there.
"""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import parts
from backup_error import BackupError
from backup_state import SECRETS, Memory
from engines import SNAPSHOT_PATHS, read_snapshot
from repository import FORM, Copy, Repository

MANIFEST = "manifest.json"
STAGING = "copy"


def take(config: dict[str, Any], *, anew: bool = False) -> Copy:
    """Makes a copy of everything, which is in the repository whole or not at all. `anew`: goes on although
    the repository holds copies of a former installation of this machine, which nobody has restored.
    """
    repository = Repository.of(config)
    with alone(config):
        memory = Memory.recall(config, time.time())
        try:
            copies = repository.copies()
            _require_same_installation(memory, copies, anew=anew)
            copy = _take(config, repository, memory, copies)
            memory.copies = len(copies) + 1
        except BaseException:
            memory.failure_s = time.time()
            memory.store(config, off_machine=repository.is_off_machine())
            raise
        memory.success_s = copy.time_s
        # It counts from here on; what follows only makes room.
        memory.store(config, off_machine=repository.is_off_machine())
        _import_old_copies(config, repository, memory)
        left = repository.forget(config["keep"])
        memory.copies = memory.copies if left is None else left
        memory.store(config, off_machine=repository.is_off_machine())
        return copy


@contextlib.contextmanager
def alone(config: dict[str, Any]) -> Iterator[None]:
    """One copy is made or restored at a time; the next one waits. The lock ends with the process."""
    folder = Path(config["state_folder"])
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    opened = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield
    finally:
        os.close(opened)


def staging_of(config: dict[str, Any]) -> Path:
    """Returns the folder whose files a copy holds; the same in each, so that a restore finds them."""
    return Path(config["state_folder"], STAGING)


def blobs_of(config: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns the parts that are folders of blobs."""
    return [one for one in config["databases"] if one["kind"] == parts.BLOBS]


def follows(memory: Memory, copy: Copy) -> bool:
    """Returns whether this installation made a copy, or goes on with it."""
    return copy.installation in ("", memory.installation, memory.follows)


def _require_same_installation(memory: Memory, copies: list[Copy], *, anew: bool) -> None:
    """A new machine with an empty farm must not put its copies before those that it was to be restored
    from.
    """
    if not copies or follows(memory, copies[-1]):
        return
    if anew:
        memory.follows = copies[-1].installation
        return
    raise BackupError(
        "backup.not_restored",
        f"The newest copy, {copies[-1].name}, is of a former installation, and was not restored here.",
        "`soundstage-backup restore` brings it back; `soundstage-backup take --anew` begins without it.",
    )


def _take(config: dict[str, Any], repository: Repository, memory: Memory, copies: list[Copy]) -> Copy:
    staging = staging_of(config)
    shutil.rmtree(staging, ignore_errors=True)  # of one that was killed: nobody else works here
    staging.mkdir(mode=0o700)
    try:
        name = _free_name(copies)
        paths = [staging, *_fill(config, staging, _parts_of_newest(config, repository, copies))]
        sealed = Path(config["state_folder"], SECRETS)
        if sealed.exists():
            shutil.copyfile(sealed, staging / SECRETS)
        files = {file.name: parts.sha256_of(file) for file in sorted(staging.iterdir())}
        manifest = {
            "made": name,
            "files": files,
            "recipient": memory.recipient,
            "key_proven_s": memory.key_proven_s,
        }
        (staging / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
        saved = repository.save(paths, name, memory.installation)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    memory.size_bytes, memory.added_bytes = saved.bytes, saved.added_bytes
    return Copy(saved.id, name, memory.installation, tuple(map(str, paths)))


def _fill(config: dict[str, Any], staging: Path, earlier: set[str]) -> list[Path]:
    """Writes all parts into the folder; returns the paths of blobs that go into the copy beside it."""
    for engine in SNAPSHOT_PATHS:
        if engine in config:
            (staging / f"{engine}.snap").write_bytes(read_snapshot(engine, config[engine]))
    for database in config["databases"]:
        if database["kind"] != parts.BLOBS and not _is_to_come(database, earlier):
            parts.dump(database, staging / f"{database['name']}.dump")
    return [path for blobs in blobs_of(config) for path in parts.blob_paths(blobs, staging)]


def _parts_of_newest(config: dict[str, Any], repository: Repository, copies: list[Copy]) -> set[str]:
    """Returns the files of the newest copy, if anything here may come later."""
    optional = [
        one for one in config["databases"] if one.get("may_come_later") and one["kind"] != parts.BLOBS
    ]
    if not copies or all(Path(one["path"]).exists() for one in optional):
        return set()
    return set(read_manifest(config, repository, copies[-1])["files"])


def read_manifest(config: dict[str, Any], repository: Repository, copy: Copy) -> dict[str, Any]:
    """Returns what a copy says that it holds. Raises BackupError."""
    try:
        found: dict[str, Any] = json.loads(repository.read(copy, staging_of(config) / MANIFEST))
    except ValueError as error:
        raise BackupError(
            "backup.damaged", f"{copy.name} has no list of its parts: {error}", "Take another one."
        ) from None
    return found


def _is_to_come(database: dict[str, Any], earlier: set[str]) -> bool:
    """Returns whether an optional one never existed yet. One that the copy before holds counts as missing."""
    if not database.get("may_come_later") or Path(database["path"]).exists():
        return False
    return f"{database['name']}.dump" not in earlier


def _free_name(copies: list[Copy]) -> str:
    """The time; that of a later second where a copy of this one is there."""
    names = {one.name for one in copies}
    while (name := datetime.datetime.now(datetime.UTC).strftime(FORM)) in names:
        time.sleep(0.1)
    return name


def _import_old_copies(config: dict[str, Any], repository: Repository, memory: Memory) -> None:
    """Copies of the former form lie in clear beside what they protect: they go into the repository under
    their own times, and then away.
    """
    old = sorted(one for one in Path(config["old_folder"]).glob("[0-9]*T[0-9]*Z") if one.is_dir())
    staging = staging_of(config)
    for folder in old:
        shutil.rmtree(staging, ignore_errors=True)
        try:
            shutil.copytree(folder, staging)
            repository.save([staging], folder.name, memory.installation)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        shutil.rmtree(folder)
