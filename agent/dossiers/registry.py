"""Stores compiled dossiers: the persona file, and beside it the workflow and the mock API."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ValidationError

from agent.dossiers.schemas import Compiled, Workflow
from soundstage.database import Database
from soundstage.errors import Conflict, NotFound
from studio.personas.library import COMPILED_SUFFIX, PersonaLibrary
from studio.personas.shared_files import SharedPersonaFiles
from studio.personas.yaml_source import parse_persona


class CompiledFile(BaseModel):
    """The file beside a compiled persona."""

    workflow: Workflow
    api: dict[str, object]


@dataclass(frozen=True, slots=True)
class DossierRegistry:
    library: PersonaLibrary
    db: Database
    files: SharedPersonaFiles
    _saving: asyncio.Lock = field(default_factory=asyncio.Lock)
    """One at a time: each looks whether its id is free before it writes."""

    async def save(self, compiled: Compiled, *, replace: bool = False) -> Compiled:
        """Raises `persona.exists`; with `replace`, only for what was not compiled from a dossier."""
        async with self._saving, self.db.transaction() as session, self.files.changing(session):
            return await asyncio.to_thread(self._save, compiled, replace)

    def read(self, persona_id: str) -> CompiledFile:
        """Returns workflow and API. Raises `persona.not_found` and `dossier.not_found`."""
        status = self.library.status(persona_id)
        path = self._beside(persona_id)
        if status.origin == "user" and path.is_file():
            try:
                return CompiledFile.model_validate_json(path.read_bytes())
            except (OSError, ValidationError) as error:
                raise Conflict(
                    "dossier.broken",
                    f"What was compiled for {persona_id!r} cannot be read.",
                    "Compile its dossier again with `replace`.",
                ) from error
        raise NotFound(
            "dossier.not_found",
            f"The persona {persona_id!r} was not compiled from a dossier.",
            "Compile one with `soundstage compile FILE --save`.",
        )

    def _save(self, compiled: Compiled, replace: bool) -> Compiled:
        persona_id, path = compiled.agent_id, self._beside(compiled.agent_id)
        origin = self.library.origin(persona_id)
        if origin is not None and not (replace and origin == "user" and path.is_file()):
            ours = origin == "user" and path.is_file()
            raise Conflict(
                "persona.exists",
                f"There is a persona {persona_id!r} already.",
                "Save it with `replace`." if ours else "Choose another id.",
            )
        persona = parse_persona(compiled.agent_yaml, f"{persona_id}.yaml")
        path.parent.mkdir(parents=True, exist_ok=True)
        half = path.with_suffix(".part")
        half.write_text(
            CompiledFile(workflow=compiled.workflow, api=compiled.api).model_dump_json(), encoding="utf-8"
        )
        half.replace(path)
        # The persona last: it exists only with all of its files.
        self.library.save(persona)
        return compiled.model_copy(update={"saved": True})

    def _beside(self, persona_id: str) -> Path:
        return self.library.own / f"{persona_id}{COMPILED_SUFFIX}"
