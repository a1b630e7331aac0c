"""The personas there are: one YAML file each, read again when a file changes; asked by renders, agent and
pages.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import yaml

from soundstage.errors import Conflict, NotFound
from studio.personas.schemas import Origin, Persona, PersonaEntry
from studio.personas.yaml_source import BadPersonaFile, read_persona

Stamp = tuple[int, int, int]
"""Inode, size and time of change: any of them differs after an edit."""


@dataclass(slots=True)
class PersonaLibrary:
    """Looks at the folders on every question (a few stat calls) instead of keeping a watcher thread.

    `shipped` holds the operator's files, `own` those made through the API. An id in both: the shipped one
    stands.
    """

    shipped: Path
    own: Path
    _read: dict[Path, tuple[Stamp, PersonaEntry]] = field(default_factory=dict)

    def entries(self) -> list[PersonaEntry]:
        """Every file, good or bad, by id."""
        found: dict[Path, tuple[Stamp, PersonaEntry]] = {}
        origins: tuple[tuple[Path, Origin], ...] = ((self.shipped, "shipped"), (self.own, "user"))
        for folder, origin in origins:
            for path in sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")]):
                stamp = _stamp(path)
                if stamp is None:
                    continue
                known = self._read.get(path)
                found[path] = known if known and known[0] == stamp else (stamp, _entry(path, origin))
        self._read = found
        return _without_twins([entry for _, entry in found.values()])

    def list(self) -> list[Persona]:
        """The usable ones."""
        return [entry.persona for entry in self.entries() if entry.persona is not None]

    def get(self, persona_id: str) -> Persona:
        """Raises `persona.not_found`, or `persona.bad_file` when its file is there and wrong."""
        entries = {entry.id: entry for entry in self.entries()}
        entry = entries.get(persona_id)
        if entry is None:
            known = ", ".join(sorted(key for key, value in entries.items() if value.persona)) or "none"
            raise NotFound(
                "persona.not_found", f"There is no persona {persona_id!r}.", f"There are: {known}."
            )
        if entry.persona is None:
            raise Conflict(
                "persona.bad_file",
                f"The persona {persona_id!r} cannot be used: {entry.error}",
                "Mend its file.",
            )
        return entry.persona

    def origin(self, persona_id: str) -> Origin | None:
        return next((entry.origin for entry in self.entries() if entry.id == persona_id), None)

    def save(self, persona: Persona) -> Path:
        """Writes a persona of our own, whole or not at all, to the file that holds it already if there is
        one.
        """
        self.own.mkdir(parents=True, exist_ok=True)
        names = (entry.file for entry in self.entries() if entry.id == persona.id and entry.origin == "user")
        path = self.own / next(names, f"{persona.id}.yaml")
        half = path.with_suffix(".part")
        content = persona.model_dump(mode="json", exclude_none=True)
        half.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")
        half.replace(path)
        return path

    def remove(self, persona_id: str) -> bool:
        """Removes the file of a persona of our own; True when there was one."""
        removed = False
        for path, (_, entry) in list(self._read.items()):
            if entry.origin == "user" and entry.id == persona_id:
                path.unlink(missing_ok=True)
                removed = True
        return removed


def _stamp(path: Path) -> Stamp | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_ino, found.st_size, found.st_mtime_ns)


def _entry(path: Path, origin: Origin) -> PersonaEntry:
    try:
        persona = read_persona(path)
    except BadPersonaFile as error:
        return PersonaEntry(id=path.stem, origin=origin, file=path.name, error=str(error))
    return PersonaEntry(id=persona.id, origin=origin, file=path.name, persona=persona)


def _without_twins(entries: list[PersonaEntry]) -> list[PersonaEntry]:
    """The first of two with one id stands; the other says so and takes its file's name."""
    known: dict[str, str] = {}
    result = []
    for entry in entries:
        if entry.id in known:
            error = f"{entry.file}: the id {entry.id!r} is taken by {known[entry.id]}"
            entry = PersonaEntry(
                id=f"{entry.origin}:{entry.file}", origin=entry.origin, file=entry.file, error=error
            )
        known.setdefault(entry.id, entry.file)
        result.append(entry)
    return sorted(result, key=lambda entry: entry.id)
