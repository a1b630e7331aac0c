"""JSON Schema of persona files, generated from their model; `make docs` keeps personas/schema.json."""

from __future__ import annotations

from typing import Any

from studio.personas.schemas import Persona


def persona_schema() -> dict[str, Any]:
    """JSON Schema (2020-12). Editors find it by the line `# yaml-language-server: $schema=schema.json`."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Persona.model_json_schema(),
        "title": "A persona of Soundstage",
    }
