"""Says what is wrong with the copies: `check` often and cheaply, `verify` by restoring the newest one into a
scratch folder and opening what is in it.
"""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

import parts
from backup_error import BackupError
from backup_state import SECRETS, Memory
from engines import require_snapshot
from recovery_key import WITHOUT_IT, open_sealed, read_key, recipient_of
from repository import Copy, Repository
from taking import MANIFEST, alone, blobs_of, follows, read_manifest, staging_of

SCRATCH = "scratch"
_DAY_S = 86400.0
_JOURNAL = "Read `journalctl -u soundstage-backup`; then `systemctl start soundstage-backup`."


def check(config: dict[str, Any], now_s: float) -> list[BackupError]:
    """Returns what a person has to look at; nothing when the newest copy is reliable."""
    repository = Repository.of(config)
    memory = Memory.recall(config, now_s)
    try:
        copies = repository.copies()
    except BackupError as error:
        return [error]
    if not copies:
        return [BackupError("backup.none", f"There is no backup in {repository.url}.", _JOURNAL)]
    return [*_of_age(config, memory, copies[-1], now_s), *_of_verification(config, memory, now_s),
            *_of_key(config, memory, repository, now_s)]  # fmt: skip


def verify(config: dict[str, Any]) -> Copy:
    """Restores the newest copy into a scratch folder and opens every part. Raises BackupError, and
    remembers it for `check`.
    """
    repository = Repository.of(config)
    with alone(config):
        memory = Memory.recall(config, time.time())
        try:
            copies = repository.copies()
            if not copies:
                raise BackupError("backup.none", f"There is no backup in {repository.url}.", _JOURNAL)
            _verify(config, repository, copies[-1])
            memory.verified_s, memory.verify_problem = time.time(), ""
        except BackupError as error:
            memory.verify_problem = str(error)
            raise
        finally:
            memory.store(config, off_machine=repository.is_off_machine())
        return copies[-1]


def fetch(
    config: dict[str, Any], repository: Repository, copy: Copy, target: Path
) -> tuple[Path, dict[str, Any]]:
    """Restores the parts of a copy (without blobs) below `target` and compares them with the list of
    contents. Returns their folder and the list. Raises BackupError.
    """
    staging = staging_of(config)
    repository.restore(copy, target, staging)
    folder = target / staging.relative_to("/")
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        for name, digest in manifest["files"].items():
            if parts.sha256_of(folder / name) != digest:
                raise BackupError(
                    "backup.damaged", f"{name} of {copy.name} is not as it was written.", _JOURNAL
                )
            if name.endswith(".snap"):
                require_snapshot((folder / name).read_bytes(), f"{name} of {copy.name}")
    except (OSError, ValueError, KeyError) as error:
        raise BackupError("backup.damaged", f"{copy.name} is not whole: {error}", _JOURNAL) from None
    return folder, manifest


def prove_key(config: dict[str, Any], key_file: Path) -> str:
    """Opens the newest copy and the sealed secrets with the recovery key alone; returns what it opened."""
    repository = Repository.of(config)
    identity = read_key(key_file)
    with alone(config):
        memory = Memory.recall(config, time.time())
        private = Path(config["state_folder"], "recovery.key")
        try:
            private.touch(mode=0o600)
            private.write_text(identity, encoding="ascii")
            alone_with_it = Repository(config, private)
            copies = alone_with_it.copies()
            if not copies:
                raise BackupError("backup.none", f"There is no backup in {repository.url}.", _JOURNAL)
            held = read_manifest(config, alone_with_it, copies[-1])["files"]
            opened = sorted(held)
            if SECRETS in held:
                sealed = alone_with_it.read(copies[-1], staging_of(config) / SECRETS)
                with open_sealed(sealed, private) as archive:
                    opened.append(f"{len(archive.getnames())} files of the farm's secrets")
        finally:
            private.unlink(missing_ok=True)
        memory.recipient = recipient_of(identity)
        memory.key_proven_s = time.time()
        memory.store(config, off_machine=repository.is_off_machine())
    return f"{copies[-1].name}: {', '.join(one for one in opened if one != MANIFEST)}"


def _verify(config: dict[str, Any], repository: Repository, copy: Copy) -> None:
    scratch = Path(config["state_folder"], SCRATCH)
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(mode=0o700)
    try:
        folder, _ = fetch(config, repository, copy, scratch)
        for database in config["databases"]:
            if (copied := folder / f"{database['name']}.dump").exists():
                parts.require_opens(database, copied)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if blobs_of(config):
        # Each piece carries its hash; all of them in turn, a part each time.
        repository.require_readable(int(config["verify_percent"]))


def _of_age(config: dict[str, Any], memory: Memory, newest: Copy, now_s: float) -> list[BackupError]:
    if not follows(memory, newest):
        message = f"The newest copy, {newest.name}, is of a former installation. None was made since."
        hint = (
            "`soundstage-backup restore` brings it back; `soundstage-backup take --anew` begins without it."
        )
        return [BackupError("backup.not_restored", message, hint)]
    hours = (now_s - newest.time_s) / 3600
    if hours <= config["oldest_h"]:
        return []
    message = f"The youngest backup, {newest.name}, is {hours:.0f} h old; {config['oldest_h']} h are allowed."
    return [BackupError("backup.old", message, _JOURNAL)]


def _of_verification(config: dict[str, Any], memory: Memory, now_s: float) -> list[BackupError]:
    hint = "Read `journalctl -u soundstage-backup-verify`; then `soundstage-backup verify`."
    if memory.verify_problem:
        return [
            BackupError(
                "backup.damaged", f"The newest copy was not restorable: {memory.verify_problem}", hint
            )
        ]
    days = (now_s - (memory.verified_s or memory.created_s)) / _DAY_S
    if days <= config["verify_days"]:
        return []
    message = f"No copy was restored for a test for {days:.0f} days; {config['verify_days']} are allowed."
    return [BackupError("backup.not_verified", message, hint)]


def _of_key(
    config: dict[str, Any], memory: Memory, repository: Repository, now_s: float
) -> list[BackupError]:
    """Copies elsewhere are worth what the operator's key is: said while it can still be replaced."""
    if not repository.is_off_machine():
        return []
    if not memory.recipient:
        hint = f"`soundstage-backup key` prints one to keep elsewhere. {WITHOUT_IT}"
        return [
            BackupError("backup.no_recovery_key", f"There is no recovery key for {repository.url}.", hint)
        ]
    days = (now_s - (memory.key_proven_s or memory.key_created_s)) / _DAY_S
    if days <= config["prove_key_days"]:
        return []
    hint = f"`soundstage-backup check --key FILE` proves it. {WITHOUT_IT}"
    message = f"Nobody has shown the recovery key for {days:.0f} days; only the key proves that it is there."
    return [BackupError("backup.key_not_proven", message, hint)]
