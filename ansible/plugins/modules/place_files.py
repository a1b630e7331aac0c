# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts many files, folders and links in place in one round trip, each written whole or not at all."""

from __future__ import annotations

import grp
import os
import pwd
import stat
import tempfile
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: place_files
short_description: Put many files, folders and links in place in one round trip
description:
  - Each file is compared, and when it differs replaced atomically with owner, group and mode already set.
  - With --diff the contents are shown, except for files that are C(secret).
options:
  files:
    description: Files with their whole content.
    type: list
    elements: dict
    default: []
    suboptions:
      dest: {description: Absolute path., type: path, required: true}
      content: {description: What the file holds., type: str, required: true}
      owner: {description: Owner., type: str, default: root}
      group: {description: Group., type: str, default: root}
      mode: {description: Octal mode as text., type: str, default: "0644"}
      secret: {description: Never show the content., type: bool, default: false}
      once: {description: Leave a file that is already there as it is., type: bool, default: false}
      validate:
        description: A program and its arguments, C(%s) for the new file, placed only when it ends well.
        type: list
        elements: str
  folders:
    description: Folders, made with their parents before any file.
    type: list
    elements: dict
    default: []
    suboptions:
      path: {description: Absolute path., type: path, required: true}
      owner: {description: Owner., type: str, default: root}
      group: {description: Group., type: str, default: root}
      mode: {description: Octal mode as text., type: str, default: "0755"}
      once: {description: Leave a folder that is already there as it is., type: bool, default: false}
  links:
    description: Symbolic links, replaced atomically.
    type: list
    elements: dict
    default: []
    suboptions:
      dest: {description: The link., type: path, required: true}
      src: {description: What it points at., type: str, required: true}
  absent:
    description: Files and links that must not be there.
    type: list
    elements: path
    default: []
author: Soundstage
"""

RETURN = r"""
placed:
  description: The paths that were, or in check mode would be, changed.
  returned: always
  type: list
"""

_OWNED = {"owner": {"type": "str", "default": "root"}, "group": {"type": "str", "default": "root"}}
_ARGUMENTS: dict[str, Any] = {
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


def main() -> None:
    module = AnsibleModule(_ARGUMENTS, supports_check_mode=True)
    placing = _Placing(module)
    path = "?"
    try:
        for item in module.params["folders"]:
            path = item["path"]
            placing.folder(item)
        for item in module.params["files"]:
            path = item["dest"]
            placing.file(item)
        for item in module.params["links"]:
            path = item["dest"]
            placing.link(item)
        for path in module.params["absent"]:
            placing.absent(path)
    except (OSError, KeyError, ValueError) as error:
        module.fail_json(msg=f"{path}: {error}", placed=placing.placed)
    module.exit_json(changed=bool(placing.placed), placed=placing.placed, diff=placing.differences)


class _Placing:
    def __init__(self, module: AnsibleModule) -> None:
        self._module = module
        self._dry = module.check_mode
        self.placed: list[str] = []
        self.differences: list[dict[str, str]] = []

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
        wanted = item["content"].encode()
        if path.is_dir():
            raise ValueError("is a folder, and a file was to be placed there")
        present = path.read_bytes() if path.is_file() and not path.is_symlink() else None
        if present is not None and (item["once"] or present == wanted):
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
                handle.write(wanted)
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
            status, out, err = self._module.run_command(command)
            if status != 0:
                raise ValueError(
                    f"{item['validate'][0]} refuses the new file, the old one stays: {(err or out).strip()}"
                )

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


def _ownership(item: dict[str, Any]) -> tuple[int, int, int]:
    return pwd.getpwnam(item["owner"]).pw_uid, grp.getgrnam(item["group"]).gr_gid, int(item["mode"], 8)


if __name__ == "__main__":
    main()
