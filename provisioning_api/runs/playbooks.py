"""The playbooks that a run may name, with the roles in them; called by the routes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from provisioning_api.runs.contents import Contents
from provisioning_api.runs.errors import playbook_broken

_FOLDERS = (".", "ansible/playbooks", "playbooks")
_DEPTH = 5


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
            raise playbook_broken(str(path.relative_to(project)), "`roles` is no list")
        for role in roles:
            entry = role if isinstance(role, dict) else {"role": role}
            tags = entry.get("tags") or []
            yield RoleView(
                name=str(entry.get("role") or entry.get("name") or ""),
                tags=[str(tag) for tag in (tags if isinstance(tags, list) else [tags])],
            )
