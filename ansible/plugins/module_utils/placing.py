# SPDX-License-Identifier: GPL-3.0-or-later
"""Files, folders and links as data: what place_files puts in place and compare_machine looks for."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ansible_collections.soundstage.farm.plugins.module_utils.argument_specs import PATH, PATHS, TEXT, dicts

_OWNERSHIP_OPTIONS: dict[str, Any] = {
    "owner": {"type": "str", "default": "root"},
    "group": {"type": "str", "default": "root"},
}
ARGUMENTS: dict[str, Any] = {
    "files": dicts(
        dest=PATH,
        content=TEXT,
        **_OWNERSHIP_OPTIONS,
        mode={"type": "str", "default": "0644"},
        secret={"type": "bool", "default": False},
        once={"type": "bool", "default": False},
        validate={"type": "list", "elements": "str"},
    ),
    "folders": dicts(
        path=PATH,
        **_OWNERSHIP_OPTIONS,
        mode={"type": "str", "default": "0755"},
        once={"type": "bool", "default": False},
        exact={"type": "bool", "default": False},
    ),
    "links": dicts(dest=PATH, src=TEXT),
    "absent": PATHS,
}

_NAMED = (("folders", "path"), ("files", "dest"), ("links", "dest"))


class FileState:
    """Converges files, folders and links; a dry run only records `changed_paths` and `differences`.

    `validate` runs a command and returns its output when it fails, else "".
    """

    def __init__(self, *, dry: bool, validate: Callable[[list[str]], str]) -> None:
        self._dry = dry
        self._run_validation = validate
        self.changed_paths: list[str] = []
        self.differences: list[dict[str, str]] = []

    def apply(self, params: dict[str, Any]) -> None:
        """Converges folders first, as files need theirs. Raises PlacingError, which names the path."""
        steps: list[tuple[str, str, Callable[[Any], None]]] = [
            ("folders", "path", self.folder),
            ("files", "dest", self.file),
            ("links", "dest", self.link),
        ]
        for what, name, converge in steps:
            for item in params[what]:
                with _with_path(item[name]):
                    converge(item)
        for path in [*params["absent"], *_undeclared_in_exact_folders(params)]:
            with _with_path(path):
                self.absent(path)

    def folder(self, item: dict[str, Any]) -> None:
        """Creates a folder. With `once`, an existing one keeps its owner and mode, too."""
        path = Path(item["path"])
        if path.is_symlink() or (path.exists() and not path.is_dir()):
            raise ValueError("is there, but is not a folder")
        if not path.exists():
            self._record_change(str(path), "", "folder\n")
            if self._dry:
                return
            path.mkdir(parents=True)
        elif item["once"]:
            return
        self._apply_ownership(path, item)

    def file(self, item: dict[str, Any]) -> None:
        """Replaces a file atomically. With `once`, an existing one keeps its content."""
        path = Path(item["dest"])
        expected = item["content"].encode()
        if path.is_dir():
            raise ValueError("is a folder, and a file was to be placed there")
        present = path.read_bytes() if path.is_file() and not path.is_symlink() else None
        if present is not None and (item["once"] or present == expected):
            self._apply_ownership(path, item)
            return
        before = "" if present is None else present.decode("utf-8", errors="replace")
        self._record_change(
            str(path),
            *(("(secret)\n", "(another secret)\n") if item["secret"] else (before, item["content"])),
        )
        if self._dry:
            return
        descriptor, staging = tempfile.mkstemp(dir=path.parent, prefix=".placing-")
        try:
            with os.fdopen(descriptor, "wb") as handle:
                handle.write(expected)
                owner, group, mode = _parse_ownership(item)
                os.fchown(descriptor, owner, group)
                os.fchmod(descriptor, mode)
                handle.flush()
                os.fsync(descriptor)
            self._validate(item, staging)
            Path(staging).replace(path)
        except BaseException:
            Path(staging).unlink(missing_ok=True)
            raise

    def _validate(self, item: dict[str, Any], staging: str) -> None:
        if item["validate"]:
            command = [staging if word == "%s" else word for word in item["validate"]]
            if refused := self._run_validation(command):
                raise ValueError(f"{item['validate'][0]} refuses the new file, the old one stays: {refused}")

    def link(self, item: dict[str, Any]) -> None:
        path = Path(item["dest"])
        present = str(path.readlink()) if path.is_symlink() else ""
        if present == item["src"]:
            return
        if path.is_dir() and not path.is_symlink():
            raise ValueError("is a folder, and a link was to be placed there")
        self._record_change(str(path), f"-> {present}\n", f"-> {item['src']}\n")
        if not self._dry:
            staging = path.with_name(f".placing-{os.getpid()}-{path.name}")
            staging.symlink_to(item["src"])
            staging.replace(path)

    def absent(self, path: str) -> None:
        if not os.path.lexists(path):
            return
        if Path(path).is_dir() and not Path(path).is_symlink():
            raise ValueError("is a folder, and only files are taken away")
        self._record_change(path, "present\n", "absent\n")
        if not self._dry:
            Path(path).unlink()

    def _apply_ownership(self, path: Path, item: dict[str, Any]) -> None:
        state = path.stat()
        try:
            owner, group, mode = _parse_ownership(item)
        except KeyError:
            if not self._dry:
                raise
            return  # outside a dry run an earlier task has created the user
        if (state.st_uid, state.st_gid, stat.S_IMODE(state.st_mode)) == (owner, group, mode):
            return
        before = f"{state.st_uid}:{state.st_gid} {stat.S_IMODE(state.st_mode):04o}\n"
        self._record_change(str(path), before, f"{owner}:{group} {mode:04o}\n")
        if not self._dry:
            os.chown(path, owner, group)
            path.chmod(mode)

    def _record_change(self, path: str, before: str, after: str) -> None:
        if path not in self.changed_paths:
            self.changed_paths.append(path)
        self.differences.append(
            {"before_header": path, "after_header": path, "before": before, "after": after}
        )


def _undeclared_in_exact_folders(params: dict[str, Any]) -> list[str]:
    """Returns the undeclared entries of folders that are `exact` (purged)."""
    declared = {str(Path(item[name])) for what, name in _NAMED for item in params[what]}
    folders = [Path(item["path"]) for item in params["folders"] if item["exact"]]
    present = [path for folder in folders if folder.is_dir() for path in sorted(folder.iterdir())]
    return [str(path) for path in present if str(path) not in declared]


def _parse_ownership(item: dict[str, Any]) -> tuple[int, int, int]:
    return pwd.getpwnam(item["owner"]).pw_uid, grp.getgrnam(item["group"]).gr_gid, int(item["mode"], 8)


class PlacingError(Exception):
    """A path cannot be converged; the text names it."""


@contextlib.contextmanager
def _with_path(path: str) -> Iterator[None]:
    try:
        yield
    except (OSError, KeyError, ValueError) as error:
        raise PlacingError(f"{path}: {error}") from error
