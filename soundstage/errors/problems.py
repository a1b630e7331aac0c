"""Turns every failure of a web request into problem+json (RFC 9457); called once per application."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.websockets import WebSocketState

from soundstage.errors.tree import (
    Forbidden,
    Invalid,
    NotFound,
    SoundstageError,
    TooLarge,
    Unauthorized,
    Unavailable,
)
from soundstage.tracing import trace_id

MEDIA_TYPE = "application/problem+json"
REFERENCE_HINT = "The API reference is at /docs."

# RFC 6455 §7.4.1: policy violation, and internal error. A close reason has at most 123 bytes.
WS_REFUSED, WS_FAILED, WS_REASON_BYTES = 1008, 1011, 123

# What a request can be blamed for is listed up to here, and each name in it is cut to this length.
MAX_ERRORS, MAX_PATH = 50, 200


def problem_of(error: SoundstageError) -> dict[str, Any]:
    """The members of a problem document for an expected failure."""
    document: dict[str, Any] = {
        "type": f"urn:soundstage:error:{error.code}",
        "title": HTTPStatus(error.status).phrase,
        "status": error.status,
        "detail": error.message,
        "code": error.code,
    }
    if error.hint:
        document["hint"] = error.hint
    if error.field:
        document["errors"] = [{"path": f"body.{error.field}", "message": error.message}]
    if current := trace_id():
        document["trace_id"] = current
    return document


def problem_response(error: SoundstageError, **more: Any) -> JSONResponse:
    """The same as an HTTP answer, for middleware that stands outside the routes; `more` members are added."""
    document = {**problem_of(error), **more}
    return JSONResponse(document, status_code=error.status, headers=error.headers, media_type=MEDIA_TYPE)


def internal_error() -> SoundstageError:
    """Returns the answer to an unexpected error: that it happened, and its trace id."""
    return SoundstageError(
        "internal.unexpected",
        "Something went wrong that should not have.",
        "Look up the trace id in the log of the server, and report it if it comes again.",
    )


def install_error_handlers(app: FastAPI) -> None:
    """Every error leaves `app` as problem+json: ours, validation, the framework's and the unexpected."""
    # One handler for both kinds of connection, which Starlette supports and its types do not express.
    app.add_exception_handler(SoundstageError, _on_expected)  # type: ignore[arg-type]
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(Exception, _on_unexpected)


async def _on_expected(connection: HTTPConnection, error: Exception) -> Response | None:
    if not isinstance(error, SoundstageError):
        raise error
    if error.status >= 500:
        structlog.get_logger("soundstage.errors").warning(
            "request failed", code=error.code, reason=error.message, cause=repr(error.__cause__)
        )
    if isinstance(connection, WebSocket):
        await _refuse(connection, error)
        return None
    return problem_response(error)


async def _on_invalid_request(request: Request, error: Exception) -> Response:
    found: Sequence[Any] = error.errors() if isinstance(error, RequestValidationError) else ()
    # The value itself stays out: it may be a password, or a megabyte.
    errors = [{"path": _path(item["loc"]), "message": _message(item)} for item in found[:MAX_ERRORS]]
    where = "; ".join(f"{item['path']}: {item['message']}" for item in errors[:3])
    more = f"; and {len(found) - 3} more" if len(found) > 3 else ""
    return problem_response(
        Invalid("request.invalid", f"The request cannot be read: {where}{more}.", REFERENCE_HINT),
        errors=errors,
    )


def _message(item: Mapping[str, Any]) -> str:
    """Returns what is wrong with one field, without the validator's own terms."""
    context = item.get("ctx") or {}
    match item["type"]:
        case "value_error" | "assertion_error" if "error" in context:
            return str(context["error"])
        case "too_short" | "string_too_short" | "bytes_too_short":
            return f"it needs at least {context['min_length']} characters or entries"
        case "too_long" | "string_too_long" | "bytes_too_long":
            return f"it may have at most {context['max_length']} characters or entries"
        case "string_pattern_mismatch":
            return f"it does not have the form {context['pattern']}"
        case _:
            return str(item["msg"])


async def _on_http(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    problem = _framework_error(error.status_code, str(error.detail), request)
    problem.headers.update(error.headers or {})
    return problem_response(problem)


async def _on_unexpected(request: Request, error: Exception) -> Response:
    return problem_response(internal_error())


def _framework_error(status: int, detail: str, request: Request) -> SoundstageError:
    """The web framework's own refusals, in our words where its words are only the name of the status."""
    match status:
        case 400:
            return Invalid("http.bad_request", detail, REFERENCE_HINT, status=400)
        case 401:
            return Unauthorized("http.unauthorized", detail)
        case 403:
            return Forbidden("http.forbidden", detail)
        case 404 if detail == HTTPStatus.NOT_FOUND.phrase:
            return NotFound(
                "http.not_found", f"There is nothing at {_cut(request.url.path)}.", REFERENCE_HINT
            )
        case 404:
            return NotFound("http.not_found", detail)
        case 405:
            message = f"{request.method} is not possible at {_cut(request.url.path)}."
            return Invalid("http.method_not_allowed", message, REFERENCE_HINT, status=405)
        case 413:
            return TooLarge("http.body_too_large", detail)
        case 503:
            return Unavailable("http.unavailable", detail)
        case _:
            return SoundstageError("http.error", detail, status=status)


async def _refuse(socket: WebSocket, error: SoundstageError) -> None:
    """Before the handshake the answer is an HTTP problem; afterwards there is room for a close reason."""
    if socket.application_state is WebSocketState.CONNECTING:
        await socket.send_denial_response(problem_response(error))
    elif socket.application_state is WebSocketState.CONNECTED:
        reason = str(error).encode()[:WS_REASON_BYTES].decode(errors="ignore")
        await socket.close(WS_FAILED if error.status >= 500 else WS_REFUSED, reason)


def _path(loc: Sequence[str | int]) -> str:
    """`("body", "scenes", 0, "script")` becomes `body.scenes[0].script`."""
    path = ""
    for part in loc:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return _cut(path)


def _cut(text: str) -> str:
    # The caller chose this text. Half a surrogate pair in it could not be sent back as UTF-8.
    text = text.encode(errors="replace").decode()
    return text if len(text) <= MAX_PATH else f"{text[:MAX_PATH]}…"
