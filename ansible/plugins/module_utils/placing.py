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

_OWNED = {"owner": {"type": "str", "default": "root"}, "group": {"type": "str", "default": "root"}}
ARGUMENTS: dict[str, Any] = {
    "files": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "dest": {"type": "path", "required": True},
            "content": {"type": "str", "required": True},
            **_OWNED,
            "mode": {"type": "str", "default": "0644"},
            "secret": {"type": "bool", "default": False},
            "once": {"type": "bool", "default": False},
            "validate": {"type": "list", "elements": "str"},
        },
    },
    "folders": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "path": {"type": "path", "required": True},
            **_OWNED,
            "mode": {"type": "str", "default": "0755"},
            "once": {"type": "bool", "default": False},
            "exact": {"type": "bool", "default": False},
        },
    },
    "links": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {"dest": {"type": "path", "required": True}, "src": {"type": "str", "required": True}},
    },
    "absent": {"type": "list", "elements": "path", "default": []},
}

_NAMED = (("folders", "path"), ("files", "dest"), ("links", "dest"))


class Placing:
    """Puts things in place, or in a dry run only notes what it would change in `placed` and `differences`.

    `validate` runs a command and returns what it said when it refused, else nothing.
    """

    def __init__(self, *, dry: bool, validate: Callable[[list[str]], str]) -> None:
        self._dry = dry
        self._run_validation = validate
        self.placed: list[str] = []
        self.differences: list[dict[str, str]] = []

    def all_of(self, params: dict[str, Any]) -> None:
        """Folders first, so that files find theirs; errors name the path that they are about."""
        steps: list[tuple[str, str, Callable[[Any], None]]] = [
            ("folders", "path", self.folder),
            ("files", "dest", self.file),
            ("links", "dest", self.link),
        ]
        for what, name, place in steps:
            for item in params[what]:
                with _about(item[name]):
                    place(item)
        for path in [*params["absent"], *_others_in_exact_folders(params)]:
            with _about(path):
                self.absent(path)

    def folder(self, item: dict[str, Any]) -> None:
        path = Path(item["path"])
        if path.is_symlink() or (path.exists() and not path.is_dir()):
            raise ValueError("is there, but is not a folder")
        if not path.exists():
            self._note(str(path), "", "folder\n")
            if self._dry:
                return
            path.mkdir(parents=True)
        elif item["once"]:
            return
        self._own(path, item)

    def file(self, item: dict[str, Any]) -> None:
        path = Path(item["dest"])
        expected = item["content"].encode()
        if path.is_dir():
            raise ValueError("is a folder, and a file was to be placed there")
        present = path.read_bytes() if path.is_file() and not path.is_symlink() else None
        if present is not None and (item["once"] or present == expected):
            self._own(path, item)
            return
        before = "" if present is None else present.decode("utf-8", errors="replace")
        self._note(
            str(path),
            *(("(secret)\n", "(another secret)\n") if item["secret"] else (before, item["content"])),
        )
        if self._dry:
            return
        descriptor, staging = tempfile.mkstemp(dir=path.parent, prefix=".placing-")
        try:
            with os.fdopen(descriptor, "wb") as handle:
                handle.write(expected)
                owner, group, mode = _ownership(item)
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
        self._note(str(path), f"-> {present}\n", f"-> {item['src']}\n")
        if not self._dry:
            staging = path.with_name(f".placing-{os.getpid()}-{path.name}")
            staging.symlink_to(item["src"])
            staging.replace(path)

    def absent(self, path: str) -> None:
        if not os.path.lexists(path):
            return
        if Path(path).is_dir() and not Path(path).is_symlink():
            raise ValueError("is a folder, and only files are taken away")
        self._note(path, "present\n", "absent\n")
        if not self._dry:
            Path(path).unlink()

    def _own(self, path: Path, item: dict[str, Any]) -> None:
        state = path.stat()
        try:
            owner, group, mode = _ownership(item)
        except KeyError:
            if not self._dry:
                raise
            return  # the user would have been made by an earlier task
        if (state.st_uid, state.st_gid, stat.S_IMODE(state.st_mode)) == (owner, group, mode):
            return
        before = f"{state.st_uid}:{state.st_gid} {stat.S_IMODE(state.st_mode):04o}\n"
        self._note(str(path), before, f"{owner}:{group} {mode:04o}\n")
        if not self._dry:
            os.chown(path, owner, group)
            path.chmod(mode)

    def _note(self, path: str, before: str, after: str) -> None:
        if path not in self.placed:
            self.placed.append(path)
        self.differences.append(
            {"before_header": path, "after_header": path, "before": before, "after": after}
        )


def _others_in_exact_folders(params: dict[str, Any]) -> list[str]:
    """Returns what lies directly in such folders and is not declared."""
    declared = {str(Path(item[name])) for what, name in _NAMED for item in params[what]}
    folders = [Path(item["path"]) for item in params["folders"] if item["exact"]]
    present = [path for folder in folders if folder.is_dir() for path in sorted(folder.iterdir())]
    return [str(path) for path in present if str(path) not in declared]


def _ownership(item: dict[str, Any]) -> tuple[int, int, int]:
    return pwd.getpwnam(item["owner"]).pw_uid, grp.getgrnam(item["group"]).gr_gid, int(item["mode"], 8)


class PlacingError(Exception):
    """Something is in the way; the text names the path."""


@contextlib.contextmanager
def _about(path: str) -> Iterator[None]:
    try:
        yield
    except (OSError, KeyError, ValueError) as error:
        raise PlacingError(f"{path}: {error}") from error
