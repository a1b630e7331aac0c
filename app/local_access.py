"""Gives programs of the same user access to a running server, by two files in `state_dir/local`.

`up` writes them and the commands read them. `key` holds an API key with the role admin, `server.json` says
where the server listens. The server locks `server.json` while it runs, so a file without a lock is left
over from a process that died, and its port may belong to another process by now.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from soundstage.errors import Unavailable
from soundstage.private_files import OWNER_ONLY

FOLDER = "local"
KEY_FILE = "key"
SERVER_FILE = "server.json"
FOLDER_MODE = 0o700


@dataclass(frozen=True, slots=True)
class LocalAccess:
    """A server that runs on this state folder, and the key for it. `provisioning_url` is None without the
    provisioning process.
    """

    url: str
    provisioning_url: str | None
    pid: int
    key: str


def local_folder(state_dir: Path) -> Path:
    """Return `state_dir/local`; it need not exist."""
    return state_dir.absolute() / FOLDER


def key_path(state_dir: Path) -> Path:
    """Return the file of the local key."""
    return local_folder(state_dir) / KEY_FILE


def read_local_access(state_dir: Path) -> LocalAccess | None:
    """Return how to reach the server that runs on `state_dir`; None when none runs, or when its files are
    not ours to read.
    """
    try:
        with (local_folder(state_dir) / SERVER_FILE).open("rb") as file:
            if not _is_locked(file.fileno()):
                return None
            found = json.load(file)
        return LocalAccess(
            url=str(found["url"]),
            provisioning_url=found["provisioning_url"],
            pid=int(found["pid"]),
            key=key_path(state_dir).read_text(encoding="ascii").strip(),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


@contextmanager
def write_local_access(state_dir: Path, url: str, provisioning_url: str | None) -> Iterator[None]:
    """Write `server.json` and hold its lock; remove it at the end. Raises Unavailable."""
    path = local_folder(state_dir) / SERVER_FILE
    content = {
        "url": url,
        "provisioning_url": provisioning_url,
        "pid": os.getpid(),
        "started_at": datetime.now(UTC).isoformat(),
    }
    descriptor = _replace(path, json.dumps(content).encode())
    try:
        yield
    finally:
        # A second server on the same state folder may have written its own file since.
        if _is_same_file(descriptor, path):
            path.unlink(missing_ok=True)
        os.close(descriptor)


def write_private_file(state_dir: Path, name: str, content: str) -> Path:
    """Write `state_dir/local/NAME` with mode 0600 and return its path. Raises Unavailable."""
    path = local_folder(state_dir) / name
    os.close(_replace(path, content.encode()))
    return path


def read_stored_key(state_dir: Path) -> str | None:
    """Return the local key; None when there is none, or when its file was open to others."""
    path = key_path(state_dir)
    try:
        if path.stat().st_mode & 0o077:
            # Another user may have read it.
            return None
        key = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return key or None


def _replace(path: Path, content: bytes) -> int:
    """Put a locked file of mode 0600 at `path` in one step; return its open descriptor."""
    half = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.parent.chmod(FOLDER_MODE)
        descriptor = os.open(half, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, OWNER_ONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            os.write(descriptor, content)
            half.replace(path)
        except BaseException:
            half.unlink(missing_ok=True)
            os.close(descriptor)
            raise
    except OSError as error:
        raise Unavailable(
            "server.cannot_write_access",
            f"The file {path} cannot be written: {error.strerror}.",
            "Check that `state_dir` belongs to the user who runs soundstage, and that its disk is not full.",
        ) from error
    return descriptor


def _is_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def _is_same_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False
