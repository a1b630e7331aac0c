"""The playbooks that a run may name, with the roles in them; called by the routes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from soundstage.errors import Conflict

_FOLDERS = (".", "ansible/playbooks", "playbooks")
_DEPTH = 5


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


class RoleView(BaseModel):
    """A role, and the tags with which it runs alone."""

    name: str
    tags: list[str]


class PlaybookView(BaseModel):
    """`path` as a run names it; `sha256` is of all that a run reads: roles, plugins, variables."""

    path: str
    title: str
    roles: list[RoleView]
    sha256: str


def find_playbooks(project: Path) -> list[PlaybookView]:
    """By path. Files that are no playbooks are left out, and so are those that cannot be read as YAML.

    Raises `run.playbook_broken` for one that Ansible would refuse.
    """
    project, found = project.resolve(), []
    contents = Contents(project)
    for folder in _FOLDERS:
        for path in sorted((project / folder).glob("*.y*ml")):
            if plays := _plays(path):
                title = next((str(play["name"]) for play in plays if play.get("name")), path.stem)
                roles = {role.name: role for role in _roles(path, plays, project)}
                name = str(path.relative_to(project))
                sha256 = contents.sha256(dict.fromkeys(_imported(path, plays, project)))
                found.append(PlaybookView(path=name, title=title, roles=list(roles.values()), sha256=sha256))
    return found


def _plays(path: Path) -> list[dict[str, Any]]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, AttributeError, LookupError, RecursionError, yaml.YAMLError):
        # The reader's own errors, and what it falls over: no UTF-8, a date such as 2026-13-45, `!!int ""`.
        return []
    if not isinstance(content, list) or not content:
        return []
    kinds = ("hosts", "import_playbook", "ansible.builtin.import_playbook")
    plays = [one for one in content if isinstance(one, dict) and any(kind in one for kind in kinds)]
    return plays if len(plays) == len(content) else []


def _inner(path: Path, play: dict[str, Any], project: Path) -> Path | None:
    """The playbook that a play imports; nothing outside of the project."""
    imported = play.get("import_playbook") or play.get("ansible.builtin.import_playbook")
    inner = (path.parent / str(imported)).resolve() if imported else None
    return inner if inner is not None and inner.is_relative_to(project) else None


def _imported(path: Path, plays: Sequence[dict[str, Any]], project: Path, depth: int = 0) -> Iterator[Path]:
    """The playbook itself, and those that it imports."""
    yield path
    for play in plays:
        inner = _inner(path, play, project)
        if inner is not None and depth < _DEPTH:
            yield from _imported(inner, _plays(inner), project, depth + 1)


def _roles(path: Path, plays: Sequence[dict[str, Any]], project: Path, depth: int = 0) -> Iterator[RoleView]:
    for play in plays:
        inner = _inner(path, play, project)
        if inner is not None and depth < _DEPTH:
            yield from _roles(inner, _plays(inner), project, depth + 1)
        roles = play.get("roles") or ()
        if not isinstance(roles, list | tuple):
            # Ansible would not run it either.
            raise Conflict(
                "run.playbook_broken",
                f"The playbook {path.relative_to(project)} is broken: `roles` is no list.",
                "Correct it: `ansible-playbook --syntax-check` says where.",
            )
        for role in roles:
            entry = role if isinstance(role, dict) else {"role": role}
            tags = entry.get("tags") or []
            yield RoleView(
                name=str(entry.get("role") or entry.get("name") or ""),
                tags=[str(tag) for tag in (tags if isinstance(tags, list) else [tags])],
            )
