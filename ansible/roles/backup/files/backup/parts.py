"""Copies databases and folders of this machine, puts them back, and checks that a copy opens."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pwd
import secrets
import shutil
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from backup_error import BackupError

BLOBS = "blobs"
MARK = "soundstage: loaded from backup"
"""The comment on a database of PostgreSQL that was restored, with an id (soundstage/database/restores.py)."""


def dump(database: dict[str, Any], target: Path) -> None:
    """Copies SQLite while it is in use, PostgreSQL by pg_dump as the user that owns it; a folder as a tar
    file, and so are files of a folder, those that are there.
    """
    if database["kind"] == "files":
        with tarfile.open(target, "w") as archive:
            for name in database["files"]:
                if (file := Path(database["path"], name)).exists():
                    archive.add(file, name)
        return
    if database["kind"] == "folder":
        with tarfile.open(target, "w") as archive:
            archive.add(database["path"], ".")
        return
    if database["kind"] == "sqlite":
        command = [sys.executable, "-I", "-c", _COPY_SQLITE, database["path"], str(target)]
        _run(command, database["name"])
        return
    with target.open("wb") as opened:
        _run(
            [*_as(database), "pg_dump", "--format=custom", database["database"]],
            database["name"],
            stdout=opened,
        )


def load(database: dict[str, Any], copy: Path) -> None:
    """Puts one part back in the place of what is there now."""
    if database["kind"] == "folder":
        _make_parent(Path(database["path"]), database)
        _unpack(Path(database["path"]), copy)
        return
    if database["kind"] == "files":
        _make_parent(Path(database["path"], "any"), database)
        _unpack_into(Path(database["path"]), copy)
        return
    if database["kind"] == "sqlite":
        _make_parent(Path(database["path"]), database)
        _load_sqlite(Path(database["path"]), copy)
        return
    _load_postgresql(database, copy)


def require_opens(database: dict[str, Any], copy: Path) -> None:
    """Opens a copy as its program would: SQLite with an integrity check, PostgreSQL in a scratch database (on
    a standby, which makes none, by the dump's table of contents), tar files to their end. Raises BackupError.
    """
    if database["kind"] == "sqlite":
        _run([sys.executable, "-I", "-c", _CHECK_SQLITE, str(copy)], database["name"])
    elif database["kind"] == "postgresql" and is_standby(database):
        with copy.open("rb") as opened:
            _run([*_as(database), "pg_restore", "--list"], database["name"], stdin=opened)
    elif database["kind"] == "postgresql":
        scratch = f"soundstage_verify_{secrets.token_hex(6)}"
        _run([*_as(database), "createdb", scratch], database["name"])
        try:
            with copy.open("rb") as opened:
                command = [
                    *_as(database),
                    "pg_restore",
                    "--exit-on-error",
                    "--no-owner",
                    f"--dbname={scratch}",
                ]
                _run(command, database["name"], stdin=opened)
        finally:
            _run([*_as(database), "dropdb", "--if-exists", scratch], database["name"])
    else:
        try:
            with tarfile.open(copy) as archive:
                for member in archive:
                    if (content := archive.extractfile(member)) is not None:
                        while content.read(1 << 20):
                            pass
        except (OSError, tarfile.TarError) as error:
            raise BackupError(
                "backup.damaged", f"The copy of {database['name']} does not open: {error}", "Take a new one."
            ) from None


def is_standby(database: dict[str, Any]) -> bool:
    """Returns whether PostgreSQL on this machine follows another one, and takes no writes."""
    command = [*_as(database), "psql", "--no-psqlrc", "-At", "--set=ON_ERROR_STOP=1", "postgres"]
    return _output_of(command, database["name"], "SELECT pg_is_in_recovery();\n").strip() == "t"


def require_primary(database: dict[str, Any]) -> None:
    """Raises BackupError on a standby, before anything is replaced."""
    if database["kind"] == "postgresql" and is_standby(database):
        raise BackupError(
            "backup.standby",
            f"{database['name']} cannot be restored here: PostgreSQL on this machine follows another one.",
            "Restore it on the machine that takes writes (`patronictl list`), which this one follows.",
        )


def blob_paths(blobs: dict[str, Any], dumps: Path) -> list[Path]:
    """Returns what the policy of these blobs takes into a copy. What personas need is said by a database of
    PostgreSQL, or by the copy of one of SQLite in `dumps`.
    """
    folder = Path(blobs["path"])
    if blobs["policy"] == "all":
        return [folder] if folder.is_dir() else []
    digests = sorted({one.removeprefix("sha256:") for one in _blobs_of_personas(blobs, dumps)})
    return [path for one in digests if (path := folder / one[:2] / one).is_file()]


def _blobs_of_personas(blobs: dict[str, Any], dumps: Path) -> list[str]:
    if blobs.get("database"):
        command = [*_as(blobs), "psql", "--no-psqlrc", "-At", "--set=ON_ERROR_STOP=1", blobs["database"]]
        return _output_of(command, blobs["name"], _ASK_POSTGRESQL).split()
    index = dumps / f"{blobs['index']}.dump"
    if not index.exists():
        return []
    with contextlib.closing(sqlite3.connect(f"file:{index}?mode=ro", uri=True)) as database:
        return [str(row[0]) for row in database.execute(_BLOBS_OF_PERSONAS)]


def require_unused(database: dict[str, Any]) -> None:
    """Refuses files that are open: a running program would overwrite what was restored."""
    user = database.get("used_by_user")
    if user and _runs_something(user):
        raise BackupError(
            "backup.in_use",
            f"{database['name']} is in use: something runs as {user}.",
            f"Stop it, restore, and start it again: {database['stop']}.",
        )
    for unit in database.get("used_by") or []:
        state = subprocess.run(
            ["systemctl", "is-active", "--", unit], capture_output=True, text=True, check=False
        )
        if state.stdout.strip() in ("active", "activating", "reloading"):
            raise BackupError(
                "backup.in_use",
                f"{database['name']} is in use by {unit}.",
                f"Stop it, restore, and start it again: systemctl stop {' '.join(database['used_by'])}.",
            )


def finish(database: dict[str, Any]) -> None:
    """Runs the commands that a restored database needs before use, such as closing what was open in it."""
    command = database.get("after_restore") or []
    if not command:
        return
    try:
        _run(command, database["name"])
    except (BackupError, OSError) as error:
        raise BackupError(
            "backup.not_finished",
            f"{database['name']} is back, but may not be used yet: {error}",
            "Start nothing that uses it. Mend what is named, then restore it again.",
        ) from None


def own_like(folder: Path, owner: tuple[int, int]) -> None:
    """Gives a folder and all in it to one user: numbers of users differ between two installations."""
    for path in (folder, *folder.rglob("*")):
        os.chown(path, *owner, follow_symlinks=False)


def owner_of(database: dict[str, Any]) -> tuple[int, int]:
    """Returns user and group that a restored folder belongs to. Raises BackupError without that user."""
    user = database.get("owner") or database.get("used_by_user")
    if not user:
        return os.geteuid(), os.getegid()
    try:
        found = pwd.getpwnam(user)
    except KeyError:
        raise BackupError(
            "backup.no_user",
            f"{database['name']} belongs to {user}, and this machine has no such user.",
            "Converge the machine first: ansible-playbook ansible/playbooks/restore.yaml does it in order.",
        ) from None
    return found.pw_uid, found.pw_gid


def sha256_of(file: Path) -> str:
    """Returns the digest of a file in hexadecimal."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _make_parent(path: Path, database: dict[str, Any]) -> None:
    """Creates missing folders above a part, on a machine that never had it."""
    missing: list[Path] = []
    folder = path.parent
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    if not missing:
        return
    owner = owner_of(database)
    for folder in reversed(missing):
        folder.mkdir(mode=0o700)
    os.chown(path.parent, *owner)


def _load_postgresql(database: dict[str, Any], copy: Path) -> None:
    """Loads a dump while no service is connected, into a marked database: services close what was open in the
    copy before they use its rows (soundstage/database/restores.py).
    """
    psql = [*_as(database), "psql", "--no-psqlrc", "--quiet", "-At", "--set=ON_ERROR_STOP=1", "postgres"]
    psql += [f"--set=name={database['database']}", f"--set=mark={MARK} {secrets.token_hex(8)}"]
    command = ["pg_restore", "--clean", "--if-exists", "--single-transaction"]
    before = _output_of(psql, database["name"], _READ_COMMENT).rstrip("\n")
    try:
        _run(psql, database["name"], input=_CLOSE_TO_SERVICES)
        with copy.open("rb") as opened:
            _run(
                [*_as(database), *command, f"--dbname={database['database']}"], database["name"], stdin=opened
            )
    except BackupError:
        # The rows are those of before, and maybe of a restore that no service has finished.
        _run([*psql, f"--set=before={before}"], database["name"], input=_PUT_COMMENT_BACK)
        raise
    finally:
        _run(psql, database["name"], input=_OPEN_TO_SERVICES)


def _load_sqlite(target: Path, copy: Path) -> None:
    staging = target.with_name(f".{target.name}.restored")
    shutil.copyfile(copy, staging)
    # Where the file was lost, its folder says whose it is.
    state = (target if target.exists() else target.parent).stat()
    os.chown(staging, state.st_uid, state.st_gid)
    staging.chmod(state.st_mode & 0o777 if target.exists() else 0o600)
    for leftover in ("-wal", "-shm"):
        target.with_name(target.name + leftover).unlink(missing_ok=True)
    staging.replace(target)


def _unpack(folder: Path, copy: Path) -> None:
    """The old folder goes when the new one is whole beside it. Owners and modes are those of the copy."""
    staging = folder.with_name(f".{folder.name}.restored")
    shutil.rmtree(staging, ignore_errors=True)
    with tarfile.open(copy) as archive:
        # Our own copy, whose checksum was compared; `tar` keeps owners and refuses what leads out.
        archive.extractall(staging, filter="tar")
    if folder.exists():
        shutil.rmtree(folder)
    staging.replace(folder)


def _unpack_into(folder: Path, copy: Path) -> None:
    """Restores the files of the copy into the folder, whose other files stay."""
    staging = folder / ".restored"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir()
    with tarfile.open(copy) as archive:
        archive.extractall(staging, filter="tar")
    for came in staging.iterdir():
        if (target := folder / came.name).is_dir():
            shutil.rmtree(target)
        came.replace(target)
    staging.rmdir()


def _runs_something(user: str) -> bool:
    try:
        uid = pwd.getpwnam(user).pw_uid
    except KeyError:
        return False
    return uid in _users_of_processes()


def _users_of_processes() -> Iterator[int]:
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            yield process.stat().st_uid


def _as(database: dict[str, Any]) -> list[str]:
    return ["runuser", "-u", database["user"], "--"] if database.get("user") else []


def _output_of(command: list[str], name: str, script: str) -> str:
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        _run(command, name, stdout=output, input=script)
        output.seek(0)
        return output.read()


def _run(command: list[str], name: str, **streams: Any) -> None:
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False, cwd="/", **streams)
    if done.returncode != 0:
        # `soundstage` says a hint in its last line, and what is wrong in the one before.
        lines = done.stderr.strip().splitlines()[-2:] or [f"status {done.returncode}"]
        raise BackupError(
            "backup.database_failed", f"The database {name}: {' '.join(lines)}", "Look whether it runs."
        )


_BLOBS_OF_PERSONAS = """
SELECT sha256 FROM blob_references
WHERE owner LIKE 'persona:%' OR owner LIKE 'voice:%' OR owner LIKE 'consent:%'
"""

# Before the studio's first start there is no such table.
_ASK_POSTGRESQL = rf"""
SELECT to_regclass('blob_references') IS NOT NULL AS there \gset
\if :there
{_BLOBS_OF_PERSONAS};
\endif
"""

# A limit holds for services, not for the superuser that restores.
_CLOSE_TO_SERVICES = """
ALTER DATABASE :"name" CONNECTION LIMIT 0;
COMMENT ON DATABASE :"name" IS :'mark';
SELECT count(pg_terminate_backend(pid, 5000)) AS ended FROM pg_stat_activity WHERE datname = :'name' \\gset
"""
_READ_COMMENT = """SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = :'name';"""
# An empty one removes it.
_PUT_COMMENT_BACK = """COMMENT ON DATABASE :"name" IS :'before';"""
_OPEN_TO_SERVICES = """ALTER DATABASE :"name" CONNECTION LIMIT -1;"""

_COPY_SQLITE = """
import sqlite3, sys
source = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True)
target = sqlite3.connect(sys.argv[2])
source.backup(target)
target.execute("PRAGMA journal_mode=DELETE")
found = target.execute("PRAGMA integrity_check").fetchone()[0]
sys.exit(0 if found == "ok" else f"the copy is damaged: {found}")
"""

_CHECK_SQLITE = """
import sqlite3, sys
try:
    copy = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True)
    found = copy.execute("PRAGMA integrity_check").fetchone()[0]
except sqlite3.Error as error:
    found = str(error)
sys.exit(0 if found == "ok" else f"the copy is damaged: {found}")
"""
