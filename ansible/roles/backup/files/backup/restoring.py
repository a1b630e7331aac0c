"""Brings copies back: one part, or all of them in the order in which they may be used; or the secrets
folder of the farm on a controller that was lost with the machine.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import parts
from backup_error import BackupError
from backup_state import SECRETS, Memory
from checking import SCRATCH, fetch
from engines import SNAPSHOT_PATHS, drop_former_node, restore_snapshot
from recovery_key import open_sealed, read_key
from repository import Copy, Repository
from taking import alone, blobs_of, staging_of

NEWEST = "newest"


def restore(config: dict[str, Any], name: str, names: Sequence[str]) -> tuple[Copy, list[str]]:
    """Brings parts back: `consul`, `nomad`, or names of databases; all of the copy without one. What is
    there now is replaced. Returns the copy, and the parts in their order.
    """
    repository = Repository.of(config)
    with alone(config):
        copy = _copy_of_name(repository, name)
        scratch = Path(config["state_folder"], SCRATCH)
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(mode=0o700)
        try:
            folder, manifest = fetch(config, repository, copy, scratch)
            chosen = _choose(_parts_held(config, manifest["files"]), names, copy)
            _restore_parts(config, repository, copy, folder, chosen)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        if not names:
            _go_on_from(config, repository, copy, manifest)
    return copy, chosen


def _choose(held: list[str], names: Sequence[str], copy: Copy) -> list[str]:
    if unknown := [one for one in names if one not in held]:
        message = f"{copy.name} has no part {unknown[0]}."
        raise BackupError("backup.unknown_part", message, f"There are: {', '.join(held)}.")
    return [one for one in held if not names or one in names]


def _restore_parts(
    config: dict[str, Any], repository: Repository, copy: Copy, folder: Path, chosen: list[str]
) -> None:
    databases = {one["name"]: one for one in config["databases"] if one["name"] in chosen}
    for database in databases.values():
        parts.require_unused(database)
        parts.require_primary(database)
    for name, database in databases.items():
        if database["kind"] == parts.BLOBS:
            _restore_blobs(repository, copy, database)
        else:
            parts.load(database, folder / f"{name}.dump")
    # Not before all of them are there: what closes open work reads keys, too.
    for database in databases.values():
        parts.finish(database)
    # Last: Nomad starts jobs that use the files as soon as it knows them again.
    for engine in [one for one in chosen if one in SNAPSHOT_PATHS]:
        restore_snapshot(engine, config[engine], (folder / f"{engine}.snap").read_bytes())
        drop_former_node(engine, config[engine], config["host"])


def recover_secrets(config: dict[str, Any], key_file: Path, target: Path) -> int:
    """Unpacks the secrets folder of the farm from the newest copy that any machine made, with the recovery
    key alone. Returns the number of files. Raises BackupError when something is at `target`.
    """
    if target.exists() and any(target.iterdir()):
        raise BackupError(
            "backup.exists", f"There is something in {target} already.", "Name an empty folder."
        )
    identity = read_key(key_file)
    with tempfile.TemporaryDirectory() as folder:
        private = Path(folder, "key")
        private.touch(mode=0o600)
        private.write_text(identity, encoding="ascii")
        repository = Repository({**config, "state_folder": folder}, private)
        copies = repository.copies()
        if not copies:
            raise BackupError(
                "backup.none", f"There is no copy of {repository.host} in {repository.url}.", ""
            )
        staged = next(
            (one for one in copies[-1].paths if Path(one).name == staging_of(config).name),
            copies[-1].paths[0],
        )
        sealed = repository.read(copies[-1], Path(staged, SECRETS))
        target.mkdir(parents=True, exist_ok=True, mode=0o700)
        target.chmod(0o700)
        with open_sealed(sealed, private) as archive:
            archive.extractall(target, filter="data")
            return sum(member.isfile() for member in archive)


def parts_of(config: dict[str, Any]) -> list[str]:
    """Returns the names of all parts, in the order in which a restore brings them back."""
    engines = [engine for engine in SNAPSHOT_PATHS if engine in config]
    return [one["name"] for one in config["databases"]] + engines


def _parts_held(config: dict[str, Any], files: Sequence[str]) -> list[str]:
    known = set(files)
    blobs = {one["name"] for one in blobs_of(config)}
    return [one for one in parts_of(config) if one in blobs or {f"{one}.dump", f"{one}.snap"} & known]


def _copy_of_name(repository: Repository, name: str) -> Copy:
    copies = repository.copies()
    if not copies:
        raise BackupError(
            "backup.none",
            f"There is no copy of {repository.host} in {repository.url}.",
            "Look at backup__repository, and at the machine's name in the inventory.",
        )
    if name == NEWEST:
        return copies[-1]
    found = [one for one in copies if one.name == Path(name).name]
    if not found:
        raise BackupError(
            "backup.unknown_copy", f"There is no copy {name}.", "`soundstage-backup list` names them."
        )
    return found[0]


def _restore_blobs(repository: Repository, copy: Copy, blobs: dict[str, Any]) -> None:
    """Files by their hash: those that are here already stay."""
    folder = Path(blobs["path"])
    if not any(Path(one).is_relative_to(folder) for one in copy.paths):
        return
    owner = parts.owner_of(blobs)
    # restic gives the folders above those of the copy's machine, whose numbers of users may be others.
    above = {one: one.stat() for one in folder.parents if one.exists()}
    repository.restore(copy, Path("/"), folder)
    for one, state in above.items():
        os.chown(one, state.st_uid, state.st_gid)
        one.chmod(stat.S_IMODE(state.st_mode))
    if folder.exists():
        parts.own_like(folder, owner)
        folder.chmod(0o700)


def _go_on_from(config: dict[str, Any], repository: Repository, copy: Copy, manifest: dict[str, Any]) -> None:
    """From here on this installation makes the copies, with the recovery key that was there before."""
    memory = Memory.recall(config, time.time())
    memory.follows = copy.installation
    memory.success_s = memory.success_s or copy.time_s
    if not memory.recipient:
        memory.recipient = manifest.get("recipient", "")
        memory.key_created_s, memory.key_proven_s = memory.created_s, float(manifest.get("key_proven_s", 0))
    memory.store(config, off_machine=repository.is_off_machine())
