"""The content of a playbook as one hash of all files that a run of it reads; called by their list."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

# Ansible's own names of what stands beside a playbook; `plugins` and `inventory` are those of this project.
_BESIDE = (
    "roles", "tasks", "vars", "files", "templates", "handlers", "library", "module_utils", "filter_plugins",
    "group_vars", "host_vars",
)  # fmt: skip
_OF_THE_PROJECT = (
    "ansible/roles",
    "ansible/plugins",
    "inventory/group_vars",
    "inventory/host_vars",
    "ansible.cfg",
)
_NOT_READ = "__pycache__"


class Contents:
    """Hashes the files of a project, each folder once.

    All roles count, not only those that a playbook names: roles include others by names that are known only
    when they run.
    """

    def __init__(self, project: Path) -> None:
        self._project = project
        self._known: dict[Path, bytes] = {}

    def sha256(self, playbooks: Iterable[Path]) -> str:
        """Of these playbooks and all that stands beside them and in the project for them."""
        found = hashlib.sha256()
        folders: dict[Path, None] = {}
        for playbook in playbooks:
            found.update(self._of(playbook))
            folders.update((playbook.parent / name, None) for name in _BESIDE)
        folders.update((self._project / name, None) for name in _OF_THE_PROJECT)
        for folder in folders:
            found.update(self._of(folder))
        return found.hexdigest()

    def _of(self, path: Path) -> bytes:
        if path not in self._known:
            digest = hashlib.sha256()
            for file in _files(path):
                name = (
                    str(file.relative_to(self._project)) if file.is_relative_to(self._project) else str(file)
                )
                digest.update(f"{len(name)}:{name}:".encode(errors="surrogateescape"))
                digest.update(_hash(file))
            self._known[path] = digest.digest()
        return self._known[path]


def _files(path: Path) -> Iterator[Path]:
    """A file itself, or all files of a folder; links are followed as Ansible does, each folder once."""
    if path.is_file():
        yield path
    elif path.is_dir():
        met: set[Path] = set()
        for name, folders, names in os.walk(path, followlinks=True):
            folder = Path(name)
            if folder.name == _NOT_READ or folder.resolve() in met:
                folders.clear()
                continue
            met.add(folder.resolve())
            folders.sort()
            yield from (folder / one for one in sorted(names) if (folder / one).is_file())


def _hash(file: Path) -> bytes:
    try:
        with file.open("rb") as content:
            return hashlib.file_digest(content, "sha256").digest()
    except OSError as error:
        # Ansible could not read it either; that it can again is a change.
        return f"unreadable {error.errno}".encode()
