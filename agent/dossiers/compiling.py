"""Compiles a dossier: JSON in; persona, workflow and mock API out; called by the routes and the CLI."""

from __future__ import annotations

import re
from typing import Any

import yaml
from pydantic import ValidationError

from agent.dossiers.constructs import read_dossier
from agent.dossiers.mock_api import mock_api_of
from agent.dossiers.model import Dossier
from agent.dossiers.problems import BadDossier, Problem
from agent.dossiers.reading import read_json
from agent.dossiers.schemas import Compiled
from agent.dossiers.workflow import workflow_of
from studio.personas.schemas import PERSONA_ID, Persona
from studio.slugs import slug_of

WRAPPED = "dossier_json"
"""The older system's requests hold the dossier under this name."""


def compile_bytes(content: bytes, persona_id: str | None = None) -> Compiled:
    """Raises BadDossier with all that is wrong."""
    return compile_dossier(read_json(content), persona_id)


def compile_dossier(value: Any, persona_id: str | None = None) -> Compiled:
    """A dossier as JSON value, alone or as `{"dossier_json": …}`. The same dossier gives the same result.

    The persona may use no tools until somebody grants it some: a dossier comes from outside.
    """
    if isinstance(value, dict) and WRAPPED in value and "header" not in value:
        value = value[WRAPPED]
    dossier, warnings = read_dossier(value)
    if persona_id is not None and not re.fullmatch(PERSONA_ID, persona_id):
        message = f"{persona_id[:80]!r} is no id of a persona."
        raise BadDossier([Problem(pointer="", message=message, hint="Use a-z, 0-9 and -.")])
    persona = _persona(dossier, persona_id or slug_of(dossier.header.domain, "dossier")[:60].strip("-"))
    api = mock_api_of(dossier)
    workflow, more = workflow_of(dossier, persona.id, api)
    content = persona.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    return Compiled(
        agent_id=persona.id,
        agent_yaml=yaml.safe_dump(
            {**content, "tools": list(persona.tools)}, sort_keys=False, allow_unicode=True
        ),
        workflow=workflow,
        api=api.document,
        warnings=(*warnings, *more),
    )


def _persona(dossier: Dossier, persona_id: str) -> Persona:
    header = dossier.header
    acting = dict.fromkeys(triplet.role for triplet in dossier.triplets)
    roles = ", ".join(_line(dossier.roles[role].name) for role in acting)
    doing = "\n".join(
        f"- {triplet.description or f'{triplet.mode} {dossier.entities[triplet.entity].name}'}"
        for triplet in dossier.triplets[:20]
    )
    description = "\n".join(part for part in (header.description, doing) if part)
    try:
        return Persona(
            id=persona_id,
            name=_line(header.domain)[:80].strip() or persona_id,
            title=roles[:120].strip(),
            description=description[:4000],
            tools=(),
        )
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        message = f"It makes no persona: {'.'.join(map(str, first['loc']))}: {first['msg']}."
        raise BadDossier([Problem(pointer="/header", message=message)]) from error


def _line(text: str) -> str:
    """One line without control characters, as a persona's name must be."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())
