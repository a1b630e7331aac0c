"""Files that appear whole or not at all; every writer of the worker goes through here."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from avatar.errors import AvatarError, Unavailable

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_PART = ".part"
_DISK = {*_FULL, errno.EIO, errno.EROFS}


def write_error(error: OSError, target: Path) -> AvatarError:
    """The error to show for a failed write of `target`: it names what people know, and the space there is."""
    known = visible_path(target)
    if error.errno in _FULL:
        return Unavailable(
            "render.disk_full",
            f"The disk is full: {_why_full(error, known if known.is_dir() else known.parent)}.",
            "Free some space (or raise the quota) and start again; nothing partial was left behind.",
        )
    return Unavailable(
        "render.write_failed",
        f"{known} could not be written: {error.strerror or error}.",
        "Check that the folder exists and may be written to.",
    )


@contextmanager
def atomic_file(target: Path) -> Iterator[Path]:
    """Yields a new, empty file beside `target`; it takes the target's place when the block ends well.

    The data is on the disk before the name changes: a crash leaves the old file or the new one, never half of
    one. When the block fails the file is removed. Raises `Unavailable` (`render.disk_full`,
    `render.write_failed`).
    """
    part = target.with_name(f".{target.name}.{_token()}{_PART}")
    try:
        with _naming(target):
            part.touch()
        with _naming_disk(target):
            yield part
        with _naming(target):
            _sync(part)
            part.replace(target)
            _sync(target.parent)
    finally:
        with suppress(OSError):  # where none could be made, none can be looked for: the first error tells it
            part.unlink(missing_ok=True)


def require_writable(target: Path) -> None:
    """Tries the place before there is anything to write. Raises as `atomic_file` does."""
    part = target.with_name(f".{target.name}.{_token()}{_PART}")
    with _naming(target):
        part.touch()
        part.unlink()


@contextmanager
def atomic_files(folder: Path, names: Sequence[str]) -> Iterator[Path]:
    """Yields a working folder inside `folder`; when the block ends well, its files `names` move up.

    They appear in that order, so a reader that finds the last one finds all. Whatever happens, the working
    folder is gone afterwards, and so is `folder` when it was new and nothing came of it. Raises as
    `atomic_file` does.
    """
    created = make_folders(folder)
    work = folder / f".{_token()}{_PART}"
    try:
        with _naming(folder):
            work.mkdir()
        with _naming_disk(folder):
            yield work
        with _naming(folder):
            _move_up(work, folder, names)
        created = []
    finally:
        _remove(work)
        for path in created:
            with suppress(OSError):  # Another process has put a file into it by now.
                path.rmdir()


def write_bytes(target: Path, data: bytes) -> None:
    """A small file, whole or not at all."""
    with atomic_file(target) as part:
        part.write_bytes(data)


def visible_path(target: Path) -> Path:
    """`target` as people know it: itself, or the folder that a working folder lies in, which is soon gone."""
    outermost = next((folder for folder in reversed(target.parents) if _is_part(folder.name)), None)
    return target if outermost is None else outermost.parent


def _move_up(work: Path, folder: Path, names: Sequence[str]) -> None:
    for name in names:
        _sync(work / name)
    moved: list[Path] = []
    try:
        for name in names:
            moved.append((work / name).replace(folder / name))
        _sync(folder)
    except BaseException:
        for path in moved:
            path.unlink(missing_ok=True)
        raise


def _remove(work: Path) -> None:
    try:
        shutil.rmtree(work, ignore_errors=True)
    except BaseException:  # a stop signal came just now; it comes once, so the second try is not disturbed
        shutil.rmtree(work, ignore_errors=True)
        raise


def make_folders(folder: Path) -> list[Path]:
    """Makes what is missing of `folder`; returns what was made, innermost first. Raises `Unavailable`
    (`render.write_failed`).
    """
    created: list[Path] = []
    path = folder
    while not path.exists():
        created.append(path)
        path = path.parent
    with _naming(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return created


@contextmanager
def _naming(target: Path) -> Iterator[None]:
    """Our own file operations: every failure is one of writing `target`."""
    try:
        yield
    except OSError as error:
        raise write_error(error, target) from error


@contextmanager
def _naming_disk(target: Path) -> Iterator[None]:
    """The caller's block may read other files too: only what a disk says is a failure of writing `target`."""
    try:
        yield
    except OSError as error:
        if error.errno in _DISK:
            raise write_error(error, target) from error
        raise


def _is_part(name: str) -> bool:
    return name.startswith(".") and name.endswith(_PART)


def _why_full(error: OSError, folder: Path) -> str:
    if error.errno == errno.EDQUOT:
        return f"the quota of {folder} is used up"
    if error.errno == errno.EFBIG:
        return f"a file in {folder} would be larger than this disk or `ulimit -f` allows"
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    return f"{shutil.disk_usage(existing).free / 1e6:.1f} MB are left in {folder}"


def _token() -> str:
    return f"{os.getpid()}-{secrets.token_hex(4)}"


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
