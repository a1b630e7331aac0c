"""`soundstage-backup`: copies of Consul's and Nomad's state and of databases, each checked, and the way back.

`take` makes a new copy, `check` says whether the youngest is whole and young enough, `restore` undoes a loss.
The role backup installs it with /etc/soundstage/backup.json; a timer calls `take`, the node's checks `check`.
Only the standard library: it runs with the machine's own Python. Tokens come from files and go into headers,
never into arguments.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import fcntl
import gzip
import hashlib
import io
import json
import os
import pwd
import shutil
import ssl
import subprocess
import sys
import tarfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SNAPSHOT_PATHS = {"consul": "/v1/snapshot", "nomad": "/v1/operator/snapshot"}
TOKEN_HEADERS = {"consul": "X-Consul-Token", "nomad": "X-Nomad-Token"}
FORM = "%Y%m%dT%H%M%SZ"
MANIFEST = "manifest.json"


class BackupError(Exception):
    """Something that a person has to look at; `hint` says where."""

    def __init__(self, code: str, message: str, hint: str) -> None:
        super().__init__(message)
        self.code, self.hint = code, hint


def main() -> int:
    arguments = _arguments()
    try:
        config = json.loads(arguments.config.read_text(encoding="utf-8"))
        if arguments.verb == "take":
            print(f"{take(config)} holds {', '.join(_parts(config)) or 'nothing'}.")
        elif arguments.verb == "restore":
            restore(config, arguments.copy, arguments.what)
            print(f"{arguments.what} is as it was in {arguments.copy}.")
        else:
            for problem in check(config, time.time()):
                print(json.dumps({"code": problem.code, "message": str(problem), "hint": problem.hint}))
    except BackupError as error:
        print(f"{error.code}: {error} {error.hint}", file=sys.stderr)
        return 1
    except (OSError, ValueError, KeyError) as error:
        print(f"backup.misconfigured: {error!r} Converge the machine again.", file=sys.stderr)
        return 2
    return 0


def take(config: dict[str, Any]) -> Path:
    """A new copy of everything, in a folder of its own, which is there whole or not at all."""
    folder = Path(config["folder"])
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        return _take(config, folder)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One copy is made at a time; the next one waits. The lock ends with the process."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield
    finally:
        os.close(opened)


def _take(config: dict[str, Any], folder: Path) -> Path:
    for left in folder.glob(".[0-9]*T[0-9]*Z"):
        shutil.rmtree(left)  # of one that was killed: nobody else works here
    name = _free_name(folder)
    staging = folder / f".{name}"
    staging.mkdir(mode=0o700)
    try:
        for engine in SNAPSHOT_PATHS:
            if engine in config:
                _write(staging / f"{engine}.snap", _snapshot(engine, config[engine]))
        for database in config["databases"]:
            if _is_to_come(database, folder):
                continue
            _dump(database, staging / f"{database['name']}.dump")
        files = {file.name: _sha256(file) for file in sorted(staging.iterdir())}
        _write(staging / MANIFEST, json.dumps({"made": name, "files": files}, indent=1).encode() + b"\n")
        staging.replace(folder / name)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    for old in _copies(folder)[: -int(config["keep"])]:
        shutil.rmtree(old)
    return folder / name


def _is_to_come(database: dict[str, Any], folder: Path) -> bool:
    """Returns whether an optional one never existed yet. One that an earlier copy holds counts as missing."""
    if not database.get("may_come_later") or Path(database["path"]).exists():
        return False
    return not any((copy / f"{database['name']}.dump").exists() for copy in _copies(folder))


def _free_name(folder: Path) -> str:
    """The time; that of the next second where a copy of this one is there."""
    while (folder / (name := datetime.datetime.now(datetime.UTC).strftime(FORM))).exists():
        time.sleep(0.1)
    return name


def check(config: dict[str, Any], now_s: float) -> list[BackupError]:
    """Returns the problem of the newest copy; nothing when it is reliable."""
    copies = _copies(Path(config["folder"]))
    journal = "Read `journalctl -u soundstage-backup`; then `systemctl start soundstage-backup`."
    if not copies:
        return [BackupError("backup.none", f"There is no backup in {config['folder']}.", journal)]
    created = datetime.datetime.strptime(copies[-1].name, FORM).replace(tzinfo=datetime.UTC)
    hours = (now_s - created.timestamp()) / 3600
    found = []
    if hours > config["oldest_h"]:
        message = (
            f"The youngest backup, {copies[-1]}, is {hours:.0f} h old; {config['oldest_h']} h are allowed."
        )
        found.append(BackupError("backup.old", message, journal))
    try:
        _require_whole(copies[-1])
    except BackupError as error:
        found.append(error)
    return found


def restore(config: dict[str, Any], copy: Path, what: str) -> None:
    """Bring one part back: `consul`, `nomad`, or the name of a database. What is there now is replaced."""
    _require_whole(copy)
    if what in SNAPSHOT_PATHS:
        snapshot = (copy / f"{what}.snap").read_bytes()
        _call(what, config[what], "PUT", snapshot)
        return
    for database in config["databases"]:
        if database["name"] == what:
            _require_unused(database)
            _load(database, copy / f"{what}.dump")
            _finish(database, copy)
            return
    raise BackupError(
        "backup.unknown_part", f"{copy} has no part {what}.", f"There are: {', '.join(_parts(config))}."
    )


def _require_unused(database: dict[str, Any]) -> None:
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


def _runs_something(user: str) -> bool:
    try:
        uid = pwd.getpwnam(user).pw_uid
    except KeyError:
        return False
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if process.stat().st_uid == uid:
                return True
    return False


def _finish(database: dict[str, Any], copy: Path) -> None:
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


def _parts(config: dict[str, Any]) -> list[str]:
    return [engine for engine in SNAPSHOT_PATHS if engine in config] + [
        one["name"] for one in config["databases"]
    ]


def _copies(folder: Path) -> list[Path]:
    return sorted(one for one in folder.glob("[0-9]*T[0-9]*Z") if one.is_dir())


def _require_whole(copy: Path) -> None:
    """Every file of the manifest is there and unchanged, and every snapshot is one."""
    hint = "Take a new one (`soundstage-backup take`); look at the disk that it lies on."
    try:
        files = json.loads((copy / MANIFEST).read_text(encoding="utf-8"))["files"]
        for name, digest in files.items():
            if _sha256(copy / name) != digest:
                raise BackupError("backup.damaged", f"{copy / name} is not as it was written.", hint)
            if name.endswith(".snap"):
                _require_snapshot((copy / name).read_bytes(), str(copy / name))
    except (OSError, ValueError, KeyError) as error:
        raise BackupError("backup.damaged", f"{copy} is not whole: {error}", hint) from None


def _require_snapshot(content: bytes, name: str) -> None:
    """A snapshot is a packed tar file with `state.bin`, and with the checksums of what it holds."""
    try:
        with tarfile.open(fileobj=io.BytesIO(gzip.decompress(content))) as archive:
            held = {member.name: archive.extractfile(member) for member in archive if member.isfile()}
            read = {name: opened.read() for name, opened in held.items() if opened is not None}
        sums = dict(reversed(line.split()) for line in read["SHA256SUMS"].decode().splitlines())
        whole = "state.bin" in sums and all(
            hashlib.sha256(read[one]).hexdigest() == sums[one] for one in sums
        )
    except (OSError, EOFError, ValueError, KeyError, tarfile.TarError) as error:
        raise BackupError("backup.damaged", f"{name} is no snapshot: {error!r}", "Take a new one.") from None
    if not whole:
        raise BackupError("backup.damaged", f"{name} holds other bytes than it says.", "Take a new one.")


def _snapshot(engine: str, access: dict[str, str]) -> bytes:
    content = _call(engine, access, "GET", None)
    _require_snapshot(content, f"What {engine} sent")
    return content


def _call(engine: str, access: dict[str, str], method: str, body: bytes | None) -> bytes:
    request = urllib.request.Request(  # noqa: S310 -- the address is the operator's
        access["address"].rstrip("/") + SNAPSHOT_PATHS[engine], data=body, method=method
    )
    if access.get("token_file"):
        request.add_header(
            TOKEN_HEADERS[engine], Path(access["token_file"]).read_text(encoding="ascii").strip()
        )
    tls = None
    if access["address"].startswith("https:"):
        tls = ssl.create_default_context(cafile=access.get("ca_file") or None)
        tls.check_hostname = False  # the certificate is for the agent's role, not for its address
        if access.get("cert_file"):
            tls.load_cert_chain(access["cert_file"], access["key_file"])
    try:
        with urllib.request.urlopen(request, timeout=300, context=tls) as answer:  # noqa: S310
            return bytes(answer.read())
    except urllib.error.HTTPError as error:
        detail = error.read().decode(errors="replace").strip()
        hint = "Its token may have been rotated: converge the machine again." if error.code == 403 else ""
        raise BackupError(
            f"backup.{engine}_refused", f"{engine} answers {error.code}: {detail}", hint
        ) from None
    except OSError as error:
        hint = f"Look at `systemctl status {engine}`."
        raise BackupError(f"backup.{engine}_silent", f"{engine} does not answer: {error}", hint) from None


def _dump(database: dict[str, Any], target: Path) -> None:
    """SQLite by its own copy of a living database, PostgreSQL by pg_dump, as the user that owns it; a folder
    as a tar file, and so are files of a folder, those that are there.
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


def _load(database: dict[str, Any], copy: Path) -> None:
    if database["kind"] == "folder":
        _unpack(Path(database["path"]), copy)
        return
    if database["kind"] == "files":
        _unpack_into(Path(database["path"]), copy)
        return
    if database["kind"] == "sqlite":
        target = Path(database["path"])
        staging = target.with_name(f".{target.name}.restored")
        shutil.copyfile(copy, staging)
        # Where the file was lost, its folder says whose it is.
        state = (target if target.exists() else target.parent).stat()
        os.chown(staging, state.st_uid, state.st_gid)
        staging.chmod(state.st_mode & 0o777 if target.exists() else 0o600)
        for leftover in ("-wal", "-shm"):
            target.with_name(target.name + leftover).unlink(missing_ok=True)
        staging.replace(target)
        return
    command = [
        "pg_restore",
        "--clean",
        "--if-exists",
        "--single-transaction",
        f"--dbname={database['database']}",
    ]
    with copy.open("rb") as opened:
        _run([*_as(database), *command], database["name"], stdin=opened)


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
    with tarfile.open(copy) as archive:
        archive.extractall(staging, filter="tar")
    for came in staging.iterdir():
        if (target := folder / came.name).is_dir():
            shutil.rmtree(target)
        came.replace(target)
    staging.rmdir()


def _as(database: dict[str, Any]) -> list[str]:
    return ["runuser", "-u", database["user"], "--"] if database.get("user") else []


def _run(command: list[str], name: str, **streams: Any) -> None:
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False, cwd="/", **streams)
    if done.returncode != 0:
        detail = done.stderr.strip().splitlines()[-1:] or [f"status {done.returncode}"]
        raise BackupError(
            "backup.database_failed", f"The database {name}: {detail[0]}", "Look whether it runs."
        )


def _write(file: Path, content: bytes) -> None:
    with file.open("wb") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


_COPY_SQLITE = """
import sqlite3, sys
source = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True)
target = sqlite3.connect(sys.argv[2])
source.backup(target)
target.execute("PRAGMA journal_mode=DELETE")
found = target.execute("PRAGMA integrity_check").fetchone()[0]
sys.exit(0 if found == "ok" else f"the copy is damaged: {found}")
"""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="soundstage-backup", description="Copies of the farm's state.")
    parser.add_argument("--config", type=Path, default=Path("/etc/soundstage/backup.json"))
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    verbs.add_parser("take", help="make a new copy")
    verbs.add_parser("check", help="say what is wrong with the youngest copy")
    back = verbs.add_parser("restore", help="bring a copy back; what is there now is replaced")
    back.add_argument("copy", type=Path)
    back.add_argument("what", help="consul, nomad, or the name of a database")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
