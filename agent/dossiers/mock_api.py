"""An OpenAPI document of a dossier's functions and endpoints; made by the compiler, served by `mock_server`.

It describes what the real services would do, with an example for every answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agent.dossiers.json_schema import example_of
from agent.dossiers.model import Binding, Dossier
from agent.dossiers.safe_names import safe_names

NOTHING: Mapping[str, Any] = {"type": "object"}
BODYLESS = ("get", "head", "delete", "options")


@dataclass(frozen=True, slots=True)
class Operation:
    id: str
    method: str
    path: str


@dataclass(slots=True)
class MockApi:
    """The operations by what they stand for, and the document."""

    document: dict[str, Any]
    functions: Mapping[str, Operation] = field(default_factory=dict)
    endpoints: Mapping[str, Operation] = field(default_factory=dict)
    stubs: Mapping[str, Operation] = field(default_factory=dict)


def mock_api_of(dossier: Dossier) -> MockApi:
    """One operation for each function and endpoint, and a stub for what a binding runs besides."""
    paths: dict[str, Any] = {}
    functions, endpoints, stubs = {}, {}, {}
    names = safe_names(((one.id, one.name) for one in dossier.functions.values()), "function")
    for function in dossier.functions.values():
        name = names[function.id]
        operation = Operation(f"function-{name}", "post", f"/functions/{name}")
        functions[function.id] = operation
        paths[operation.path] = {
            "post": _described(
                operation, function.name, function.description, function.input, function.output,
                {"id": function.id, "kind": "function", "function_type": function.kind},
            )
        }  # fmt: skip
    names = safe_names(((one.id, one.name) for one in dossier.endpoints.values()), "endpoint")
    for endpoint in dossier.endpoints.values():
        name, method = names[endpoint.id], endpoint.method.lower()
        operation = Operation(f"endpoint-{name}", method, f"/endpoints/{name}")
        endpoints[endpoint.id] = operation
        source = {"id": endpoint.id, "kind": "endpoint"}
        paths[operation.path] = {
            method: _described(operation, endpoint.name, endpoint.description, NOTHING, NOTHING, source)
        }
    loose = [one for one in dossier.bindings.values() if one.kind not in ("function", "endpoint")]
    names = safe_names(((one.id, one.description[:40] or one.kind) for one in loose), "step")
    for binding in loose:
        name = names[binding.id]
        operation = Operation(f"stub-{name}", "post", f"/stubs/{name}")
        stubs[binding.id] = operation
        source = {"id": binding.id, "kind": binding.kind}
        paths[operation.path] = {
            "post": _described(operation, binding.id, binding.description, NOTHING, NOTHING, source)
        }
    header = dossier.header
    document = {
        "openapi": "3.1.0",
        "info": {
            "title": f"Mock of {header.domain}",
            "version": header.version,
            "description": "Answers with examples; nothing behind it is real.",
        },
        "paths": paths,
    }
    return MockApi(document, functions, endpoints, stubs)


def operation_of(api: MockApi, binding: Binding) -> Operation:
    if binding.kind == "function":
        return api.functions[binding.target]
    return api.endpoints[binding.target] if binding.kind == "endpoint" else api.stubs[binding.id]


def _described(
    operation: Operation,
    title: str,
    description: str,
    wants: Mapping[str, Any],
    gives: Mapping[str, Any],
    source: Mapping[str, str],
) -> dict[str, Any]:
    answer = {"schema": dict(gives) or dict(NOTHING), "example": example_of(gives) or {}}
    described: dict[str, Any] = {
        "operationId": operation.id,
        "summary": title[:120],
        "description": description,
        "x-dis": dict(source),
        "responses": {
            "200": {"description": "An example.", "content": {"application/json": answer}},
            "422": {"description": "The body is not what the schema wants."},
        },
    }
    if operation.method not in BODYLESS:
        content = {"schema": dict(wants) or dict(NOTHING), "example": example_of(wants) or {}}
        described["requestBody"] = {
            "required": bool(wants.get("required")),
            "content": {"application/json": content},
        }
    return described
