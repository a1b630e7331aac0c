"""The published JSON Schema of persona files takes what the reader takes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from studio.personas.file_schema import persona_schema
from studio.personas.yaml_source import read_persona

PERSONAS = Path(__file__).parents[2] / "personas"
jsonschema = pytest.importorskip("jsonschema", reason="comes with the dev group: run `make setup`")


def test_the_file_beside_the_personas_is_the_schema_of_the_model() -> None:
    assert json.loads((PERSONAS / "schema.json").read_text()) == persona_schema()


@pytest.mark.parametrize("path", sorted(PERSONAS.glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_personas_hold_the_schema_and_name_it(path: Path) -> None:
    read_persona(path)
    jsonschema.validate(yaml.safe_load(path.read_text()), persona_schema())
    assert path.read_text().startswith("# yaml-language-server: $schema=schema.json\n")


@pytest.mark.parametrize(
    "wrong", [{"name": "x"}, {"id": "a b", "name": "x"}, {"id": "a", "name": "x", "age": 3}]
)
def test_the_schema_refuses_what_the_reader_refuses(wrong: dict[str, object]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, persona_schema())
