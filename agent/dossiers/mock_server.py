"""Serves a mock API: operations answer with their examples and check request bodies; run by the CLI."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import islice
from typing import Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from agent.dossiers.json_schema import value_problems
from agent.dossiers.problems import MAX_PROBLEMS, BadDossier, Problem
from agent.dossiers.reading import read_json

MAX_BODY_BYTES = 1 << 20
ANY_METHOD = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def mock_app(document: Mapping[str, Any]) -> Starlette:
    """Returns the application. It looks up paths in the document: none of it becomes a route or code."""

    async def openapi(_: Request) -> Response:
        return JSONResponse(document)

    async def answer(request: Request) -> Response:
        operations = document["paths"].get(request.url.path)
        if operations is None:
            there = sorted(document["paths"])[:20]
            return _problem(
                404, "mock.no_operation", f"There is nothing here. There are: {', '.join(there)}."
            )
        operation = operations.get(request.method.lower())
        if operation is None:
            allowed = ", ".join(method.upper() for method in operations)
            return _problem(405, "mock.wrong_method", f"Here it is {allowed}.", headers={"Allow": allowed})
        if (body := operation.get("requestBody")) is not None:
            try:
                problems = await _body_problems(request, body)
            except ClientDisconnect:
                return Response(status_code=499)
            if problems:
                errors = [problem.model_dump() for problem in problems]
                return _problem(422, "mock.bad_body", problems[0].sentence(), errors=errors)
        return JSONResponse(operation["responses"]["200"]["content"]["application/json"]["example"])

    return Starlette(
        routes=[
            Route("/openapi.json", openapi),
            Route("/{path:path}", answer, methods=ANY_METHOD),
        ]
    )


async def _body_problems(request: Request, body: Mapping[str, Any]) -> list[Problem]:
    content = b""
    async for chunk in request.stream():
        content += chunk
        if len(content) > MAX_BODY_BYTES:
            return [Problem(pointer="", message=f"The body is larger than {MAX_BODY_BYTES} bytes.")]
    if not content.strip():
        return [Problem(pointer="", message="A body is needed.")] if body["required"] else []
    try:
        value = read_json(content)
    except BadDossier as error:
        return list(error.problems)
    schema = body["content"]["application/json"]["schema"]
    return list(islice(value_problems(schema, value), MAX_PROBLEMS))


def _problem(
    status: int, code: str, detail: str, *, headers: Mapping[str, str] | None = None, **more: Any
) -> Response:
    body = json.dumps({"status": status, "code": code, "detail": detail, **more}, ensure_ascii=False)
    return Response(body, status, headers=dict(headers or {}), media_type="application/problem+json")
