"""Maps failures of a model's server to errors, before or in its stream; used by OpenAiServer."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from pydantic import ValidationError

from agent.model.wire import ServerError
from soundstage.errors import SoundstageError, Unavailable, Upstream
from soundstage.one_line import one_line
from soundstage.telemetry import mask_text

MAX_BUSY_S = 3600.0
LOADING_S = 3.0
"""When to ask again a server that still loads its weights."""
MAX_MESSAGE_CHARS = 200
BUSY = (429, 503, 529)
"""Too many requests; overloaded, at most servers; the same at Anthropic."""
_CONTEXT_CODES = {"exceed_context_size_error", "context_length_exceeded"}
"""The type at llama.cpp, the code at OpenAI."""
_CONTEXT_WORDS = re.compile(r"maximum context length|exceeds? the .*context (size|length|window)", re.I)
_UNREADABLE = re.compile(r"^The model produced output that does not match|^Failed to parse input")
"""llama.cpp, of a tool call that is none; Groq has a code for it, `tool_use_failed`."""
_LIMIT_NAME = "max_completion_tokens"


def parse_error(body: bytes | object) -> ServerError:
    """Returns the error of a server; an empty one when it cannot be read."""
    try:
        data = json.loads(body) if isinstance(body, bytes) else {"error": body}
        error = data.get("error", data) if isinstance(data, dict) else data
        return ServerError.model_validate({"message": error} if isinstance(error, str) else error)
    except (ValueError, RecursionError, ValidationError):
        return ServerError()


def wants_other_limit(status: int, error: ServerError) -> bool:
    """Returns whether the server wants `max_completion_tokens`, as OpenAI does for reasoning models."""
    return status == 400 and _LIMIT_NAME in error.message


def refusal(
    name: str, status: int | None, error: ServerError, headers: Mapping[str, str] | None = None
) -> SoundstageError:
    """Returns the error for one answer of the server of model `name`; without status, in its stream."""
    if _is_loading(status, error):
        return Unavailable(
            "model.loading",
            f"The model {name} is still being loaded.",
            "Try again in a minute.",
            headers={"Retry-After": f"{LOADING_S:g}"},
        )
    if status in BUSY:
        wait_s = retry_after_s(headers or {})
        return Unavailable(
            "model.busy",
            f"The model {name} has too much to do.",
            "Try again later.",
            headers={} if wait_s is None else {"Retry-After": f"{wait_s:g}"},
        )
    if {error.type, error.code} & _CONTEXT_CODES or _CONTEXT_WORDS.search(error.message):
        tokens = f" ({error.n_prompt_tokens} tokens of {error.n_ctx})" if error.n_ctx else ""
        return Upstream(
            "model.context_full",
            f"This is more than the model {name} can read at a time{tokens}.",
            "Begin a new conversation, say less at a time, or give the model a longer context.",
        )
    if error.code == "tool_use_failed" or _UNREADABLE.search(error.message):
        return Upstream(
            "model.garbled",
            f"The model {name} wrote something that its server cannot read.",
            "Say it in other words.",
        )
    how = "an error" if status is None else f"status {status}"
    words = mask_text(str(one_line(error.message)))[:MAX_MESSAGE_CHARS].rstrip(".")
    return Upstream(
        "model.refused",
        f"The server of the model {name} answered with {how}{f': {words}' if words else ''}.",
        "Its log says more; check model and api_key_file in the settings.",
    )


def _is_loading(status: int | None, error: ServerError) -> bool:
    """Returns whether llama.cpp still loads its weights."""
    return status == 503 and error.message == "Loading model"


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Returns Retry-After (RFC 9110 §10.2.3) in seconds, at most an hour; None without a valid one."""
    text = headers.get("retry-after", headers.get("Retry-After", "")).strip()
    if text.isascii() and text.isdigit() and len(text) < 9:
        return min(float(text), MAX_BUSY_S)
    try:
        then = parsedate_to_datetime(text)
        wait_s = (then.replace(tzinfo=then.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    except (ValueError, OverflowError):
        return None
    return min(max(wait_s, 0.0), MAX_BUSY_S)
