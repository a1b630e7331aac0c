"""Writes into the API reference what each route needs; `install_policy` hangs it onto the application."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from policy.declarations import list_route_grants

SCHEME = "apiKey"
PROBLEM = {"description": "A problem document (RFC 9457) with `code`, `detail` and `hint`."}


def describe_permissions(app: FastAPI) -> None:
    """Adds the bearer scheme, and to each operation its permission and the answers 401 and 403."""
    plain = app.openapi

    def with_permissions() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _described(app, plain())
        return app.openapi_schema

    # The way that FastAPI itself documents for changing the schema.
    app.openapi = with_permissions  # type: ignore[method-assign]


def _described(app: FastAPI, document: dict[str, Any]) -> dict[str, Any]:
    schemes = document.setdefault("components", {}).setdefault("securitySchemes", {})
    schemes[SCHEME] = {"type": "http", "scheme": "bearer", "description": "An API key, 64 hex digits."}
    for grant in list_route_grants(app):
        for method in grant.methods:
            operation = document["paths"].get(grant.path, {}).get(method.lower())
            if operation is None or not grant.permissions:
                continue
            operation["security"] = [{SCHEME: []}]
            operation["x-permissions"] = list(grant.permissions)
            needs = f"Needs {', '.join(f'`{name}`' for name in grant.permissions)}."
            operation["description"] = f"{operation.get('description', '')}\n\n{needs}".strip()
            for status in ("401", "403"):
                operation.setdefault("responses", {}).setdefault(status, PROBLEM)
    return document
