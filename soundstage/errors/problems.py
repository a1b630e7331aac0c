"""Turns every failure of a web request into problem+json (RFC 9457); called once per application."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from soundstage.errors.tree import SoundstageError
from soundstage.telemetry.tracing import trace_id

MEDIA_TYPE = "application/problem+json"

# Codes for what the web framework itself refuses, by status.
HTTP_CODES: Mapping[int, str] = {
    400: "http.bad_request",
    401: "http.unauthorized",
    403: "http.forbidden",
    404: "http.not_found",
    405: "http.method_not_allowed",
    413: "http.body_too_large",
    415: "http.unsupported_media_type",
}


def problem_of(error: SoundstageError) -> dict[str, Any]:
    """The members of a problem document for an expected failure."""
    return _problem(error.status, error.code, error.message, error.hint)


def problem_response(error: SoundstageError) -> JSONResponse:
    """The same as an HTTP answer, for middleware that stands outside the routes."""
    return _response(problem_of(error), error.headers)


def install_error_handlers(app: FastAPI) -> None:
    """Every error leaves `app` as problem+json: ours, validation, the framework's and the unexpected."""
    app.add_exception_handler(SoundstageError, _on_expected)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(Exception, _on_unexpected)


async def _on_expected(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, SoundstageError):
        return await _on_unexpected(request, error)
    if error.status >= 500:
        structlog.get_logger("soundstage.errors").warning(
            "request failed", code=error.code, reason=error.message, cause=repr(error.__cause__)
        )
    return problem_response(error)


async def _on_invalid_request(request: Request, error: Exception) -> JSONResponse:
    found: Sequence[Any] = error.errors() if isinstance(error, RequestValidationError) else ()
    # The value itself stays out: it may be a password, or a megabyte.
    errors = [{"path": _path(item["loc"]), "message": item["msg"]} for item in found]
    where = "; ".join(f"{item['path']}: {item['message']}" for item in errors[:3])
    more = f"; and {len(errors) - 3} more" if len(errors) > 3 else ""
    document = _problem(
        422,
        "request.invalid",
        f"The request cannot be read: {where}{more}.",
        "The API reference is at /docs.",
    )
    return _response({**document, "errors": errors})


async def _on_http(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        return await _on_unexpected(request, error)
    code = HTTP_CODES.get(error.status_code, "http.error")
    detail = str(error.detail)
    hint = ""
    if error.status_code == 404 and detail == "Not Found":
        detail, hint = f"There is nothing at {request.url.path}.", "The API reference is at /docs."
    return _response(_problem(error.status_code, code, detail, hint), error.headers)


async def _on_unexpected(request: Request, error: Exception) -> JSONResponse:
    # The middleware has logged the traceback under the same trace id; the caller learns only that id.
    return _response(
        _problem(
            500,
            "internal.unexpected",
            "Something went wrong that should not have.",
            "Look up the trace id in the log of the server, and report it if it comes again.",
        )
    )


def _problem(status: int, code: str, detail: str, hint: str) -> dict[str, Any]:
    document: dict[str, Any] = {
        "type": f"urn:soundstage:error:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
    }
    if hint:
        document["hint"] = hint
    if current := trace_id():
        document["trace_id"] = current
    return document


def _response(document: dict[str, Any], headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse(document, status_code=document["status"], headers=headers, media_type=MEDIA_TYPE)


def _path(loc: Sequence[str | int]) -> str:
    """`("body", "scenes", 0, "script")` becomes `body.scenes[0].script`."""
    path = ""
    for part in loc:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path
