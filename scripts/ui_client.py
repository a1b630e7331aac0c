"""Writes ui/openapi.json, of which the page's typed client is made; --check says whether it has drifted."""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from app.composition import build
from app.server.web import create_app
from soundstage.settings import Settings

UI = Path(__file__).parent.parent / "ui"
PROSE = frozenset({"description", "title", "examples"})
REFERENCE = re.compile(r'"#/components/schemas/([^"]+)"')


def client_description(document: dict[str, Any], operations: list[tuple[str, str]]) -> dict[str, Any]:
    """The part of an OpenAPI document that these operations need, without its prose and its refusals.

    Raises KeyError for an operation that there is not.
    """
    paths: dict[str, Any] = {}
    for method, path in operations:
        operation = document["paths"][path][method.lower()]
        kept = {name: operation[name] for name in ("parameters", "requestBody") if name in operation}
        kept["responses"] = {code: one for code, one in operation["responses"].items() if code < "400"}
        paths.setdefault(path, {})[method.lower()] = kept
    schemas = document["components"]["schemas"]
    wanted = set(REFERENCE.findall(json.dumps(paths)))
    reached: dict[str, Any] = {}
    while wanted - reached.keys():
        name = min(wanted - reached.keys())
        reached[name] = _bare(schemas[name])
        wanted |= set(REFERENCE.findall(json.dumps(schemas[name])))
    info = {"title": document["info"]["title"], "version": "1"}
    return {"openapi": document["openapi"], "info": info, "paths": paths,
            "components": {"schemas": dict(sorted(reached.items()))}}  # fmt: skip


def _bare(schema: Any) -> Any:
    """Without words for people: a better sentence is no drift."""
    if isinstance(schema, dict):
        properties = {name: _bare(one) for name, one in schema.get("properties", {}).items()}
        bare = {name: _bare(one) for name, one in schema.items() if name not in PROSE}
        return bare | {"properties": properties} if properties else bare
    return [_bare(one) for one in schema] if isinstance(schema, list) else schema


def operations_of_page(lines: list[str]) -> list[tuple[str, str]]:
    """`METHOD path` per line; comments begin with #."""
    found = [line.split() for line in lines if line.strip() and not line.startswith("#")]
    return sorted({(method, path) for method, path in found}, key=lambda one: (one[1], one[0]))


def present() -> str:
    """The file as it should be."""
    with tempfile.TemporaryDirectory() as folder:
        app = create_app(build(Settings(state_dir=Path(folder))))
        operations = operations_of_page((UI / "operations.txt").read_text().splitlines())
        return json.dumps(client_description(app.openapi(), operations), indent=1) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    target, text = UI / "openapi.json", present()
    if not check:
        target.write_text(text)
    elif not target.is_file() or target.read_text() != text:
        print("ui/openapi.json is not what the API is now: run make ui", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
