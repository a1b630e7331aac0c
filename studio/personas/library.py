"""The personas there are: one YAML file each, read again when a file changes; asked by renders, agent and
pages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import yaml

from soundstage.database.tenants import DEFAULT_TENANT, current_tenant
from soundstage.errors import Conflict, NotFound
from soundstage.views import read_view
from studio.personas.faults import BadPersonaFile, Fault
from studio.personas.schemas import Origin, Persona, PersonaEntry, PersonaStatus
from studio.personas.yaml_source import read_persona

COMPILED_SUFFIX = ".dossier.json"
"""Beside the file of a persona that was compiled from a dossier; it goes with it."""

Stamp = tuple[int, int, int]
"""Inode, size and time of change: any of them differs after an edit."""
Files = dict[Path, tuple[Stamp, PersonaEntry]]


@dataclass(slots=True)
class PersonaLibrary:
    """Looks at the folders on every question (a few stat calls) instead of keeping a watcher thread.

    `shipped` holds the operator's files, which all tenants see; `made` those made through the API, each
    tenant's for itself. An id in both: the shipped one stands. A file that a change has broken goes on as it
    was read last, and tells so; one that is gone is gone, and one that is renamed is the same persona.
    """

    shipped: Path
    user_folder: Path
    _known: dict[str, Files] = field(default_factory=dict)

    @property
    def own(self) -> Path:
        """Returns the folder of the present tenant; the first tenant's holds the folders of the others."""
        tenant = current_tenant() or DEFAULT_TENANT
        return self.user_folder if tenant == DEFAULT_TENANT else self.user_folder / tenant

    @property
    def _read(self) -> Files:
        """Returns the entries of the files that the present tenant sees."""
        return self._known.get(str(self.own), {})

    def entries(self) -> list[PersonaEntry]:
        """Every file, good or bad, by id."""
        found: dict[Path, tuple[Stamp, PersonaEntry]] = {}
        origins: tuple[tuple[Path, Origin], ...] = ((self.shipped, "shipped"), (self.own, "user"))
        for folder, origin in origins:
            for path in _persona_files(folder):
                stamp = _stamp(path)
                if stamp is None:
                    continue
                known = self._read.get(path)
                if known is None or known[0] != stamp:
                    known = _read_now(path, stamp, origin, known)
                found[path] = known
        self._known[str(self.own)] = found
        return _without_twins([entry for _, entry in found.values()])

    def list(self) -> list[Persona]:
        """The usable ones."""
        return [entry.persona for entry in self.entries() if entry.persona is not None]

    def get(self, persona_id: str) -> Persona:
        """Raises `persona.not_found`, or `persona.bad_file` when its file is there and was never right."""
        entries = {entry.id: entry for entry in self.entries()}
        entry = entries.get(persona_id)
        if entry is None:
            raise self._unknown(persona_id)
        if entry.persona is None:
            raise Conflict(
                "persona.bad_file",
                f"The persona {persona_id!r} cannot be used: {entry.error}",
                "Mend its file.",
            )
        return entry.persona

    def origin(self, persona_id: str) -> Origin | None:
        return next((entry.origin for entry in self.entries() if entry.id == persona_id), None)

    def status(self, persona_id: str) -> PersonaStatus:
        """Returns how its file stands. Raises `persona.not_found`."""
        for _, (stamp, entry) in self._stamped():
            if entry.id == persona_id:
                changed_at = datetime.fromtimestamp(stamp[2] / 1e9, UTC)
                return read_view(PersonaStatus, entry, changed_at=changed_at)
        raise self._unknown(persona_id)

    def reload(self, persona_id: str) -> PersonaStatus:
        """Reads its file again whatever its time says, as some network file systems need."""
        found = [(path, entry) for path, (_, entry) in self._stamped() if entry.id == persona_id]
        if not found:
            raise self._unknown(persona_id)
        for path, entry in found:
            # Kept with a stamp that no file has, so that the last good one is still known. Whoever looks in
            # another thread may have found meanwhile that the file is gone.
            self._read[path] = ((0, 0, 0), entry)
        return self.status(persona_id)

    def _stamped(self) -> Sequence[tuple[Path, tuple[Stamp, PersonaEntry]]]:
        self.entries()
        return tuple(self._read.items())

    def _unknown(self, persona_id: str) -> NotFound:
        known = ", ".join(sorted(entry.id for entry in self.entries() if entry.persona)) or "none"
        return NotFound("persona.not_found", f"There is no persona {persona_id!r}.", f"There are: {known}.")

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
                path.with_name(f"{path.name}.replaced").unlink(missing_ok=True)
                path.with_name(f"{persona_id}{COMPILED_SUFFIX}").unlink(missing_ok=True)
                removed = True
        return removed


def _stamp(path: Path) -> Stamp | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_ino, found.st_size, found.st_mtime_ns)


def _persona_files(folder: Path) -> list[Path]:
    """Without what editors lay beside a file that they change: `.#nova.yaml`, `#nova.yaml#`, `.nova.yaml`."""
    return sorted(
        path for path in (*folder.glob("*.yaml"), *folder.glob("*.yml")) if path.name[0] not in ".#~"
    )


def _read_now(
    path: Path, stamp: Stamp, origin: Origin, before: tuple[Stamp, PersonaEntry] | None
) -> tuple[Stamp, PersonaEntry]:
    """Returns what the file holds, with the last good persona where it holds none now."""
    entry = _entry(path, origin)
    last = before[1].persona if before is not None else None
    if _stamp(path) != stamp and last is not None and before is not None:
        # It is being written right now: what was read of it may be half of it. The next question reads it.
        return before
    if entry.persona is None and last is not None:
        entry = entry.model_copy(update={"id": last.id, "persona": last})
    return stamp, entry


def _entry(path: Path, origin: Origin) -> PersonaEntry:
    try:
        persona = read_persona(path)
    except BadPersonaFile as error:
        return PersonaEntry(
            id=path.stem, origin=origin, file=path.name, error=str(error), faults=error.faults
        )
    return PersonaEntry(id=persona.id, origin=origin, file=path.name, persona=persona)


def _without_twins(entries: list[PersonaEntry]) -> list[PersonaEntry]:
    """The first of two with one id stands; the other says so and takes its file's name."""
    known: dict[str, str] = {}
    result = []
    for entry in entries:
        if entry.id in known:
            fault = Fault(field="id", message=f"the id {entry.id!r} is taken by {known[entry.id]}")
            entry = PersonaEntry(
                id=f"{entry.origin}:{entry.file}",
                origin=entry.origin,
                file=entry.file,
                error=fault.sentence(entry.file),
                faults=(fault,),
            )
        known.setdefault(entry.id, entry.file)
        result.append(entry)
    return sorted(result, key=lambda entry: entry.id)
