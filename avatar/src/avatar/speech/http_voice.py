"""Asks a speech service for one piece of sound: bounded retries, clear errors, no secret in any of them."""

from __future__ import annotations

import ipaddress
import os
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from avatar.errors import AvatarError, InvalidInput, Unavailable

ATTEMPTS = 3
CONNECT_TIMEOUT_S, READ_TIMEOUT_S = 10.0, 120.0
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 20.0
MAX_ANSWER_BYTES = 512 * 2**20
MAX_REFUSAL_BYTES = 64 << 10
MAX_REASON_CHARS = 160
OUTGOING_HEADERS = {"Accept-Encoding": "identity", "Soundstage-Outgoing": "1"}
"""Unpacking could let a few bytes become gigabytes; the servers of this product refuse what carries the
second, which is never meant for them.
"""
_STREAMING_SIZE = 0x7FFF0000
"""Servers that stream a WAV write this much or more where its length belongs."""


@dataclass(frozen=True, slots=True)
class SpeechRequest:
    """The request of a speech service and its address. `key` never appears in a message or in repr()."""

    url: str
    body: dict[str, Any] = field(repr=False)
    key: str | None = field(default=None, repr=False)
    key_variable: str | None = None

    @property
    def host(self) -> str:
        url = httpx.URL(self.url)
        return url.host + (f":{url.port}" if url.port else "")


def api_key(variable: str | None) -> str | None:
    """The key from the environment; None when the voice names no variable. Raises InvalidInput
    `speech.key_missing`, and `speech.bad_key` for what no header can carry: the client would show it in its
    own error.
    """
    if not variable:
        return None
    value = os.environ.get(variable, "").strip()
    if not value:
        raise InvalidInput(
            "speech.key_missing",
            f"The voice needs a key, but the variable {variable} is not set.",
            f"Set {variable} in the environment of the worker.",
        )
    if not (value.isascii() and value.isprintable()):
        raise InvalidInput(
            "speech.bad_key",
            f"What the variable {variable} holds cannot be the key of a speech service.",
            "A key is one line of letters, digits and signs of ASCII; look for a stray character in it.",
        )
    return value


def check_url(base_url: str) -> httpx.URL:
    """A web address, or InvalidInput `speech.bad_address`."""
    try:
        url = httpx.URL(base_url.strip())
    except (httpx.InvalidURL, ValueError):
        url = httpx.URL("")
    if url.scheme not in ("http", "https") or not url.host:
        raise InvalidInput(
            "speech.bad_address",
            "The address of the speech service is not a web address.",
            "Write it like http://127.0.0.1:8000.",
        )
    return url


def fetch(
    request: SpeechRequest,
    target: Path,
    *,
    sleep: Callable[[float], None] = time.sleep,
    read_timeout_s: float = READ_TIMEOUT_S,
) -> None:
    """Write the answer's sound to `target`. Tries three times what may pass: no answer, 429, 5xx, a cut
    stream.

    Raises Unavailable `speech.upstream_unreachable`, `upstream_timeout`, `upstream_busy`, `upstream_failed`,
    `upstream_bad_audio`; InvalidInput `speech.upstream_denied`, `upstream_rejected`.
    """
    failure: _Passing | None = None
    timeout = httpx.Timeout(read_timeout_s, connect=CONNECT_TIMEOUT_S)
    # A proxy of the environment is for the outside world; a service on this machine is asked directly.
    with httpx.Client(timeout=timeout, follow_redirects=False, trust_env=not is_local(request)) as client:
        for attempt in range(ATTEMPTS):
            if failure is not None:
                sleep(min(LONGEST_WAIT_S, failure.wait_s or FIRST_WAIT_S * 2 ** (attempt - 1)))
            try:
                return _attempt(client, request, target)
            except _Passing as passing:
                failure = passing
    if failure is None:
        raise RuntimeError("no attempt was made")
    raise failure.error from failure


class _Passing(Exception):
    """A failure that another attempt may not meet. `wait_s`: what the server asked for."""

    def __init__(self, error: AvatarError, wait_s: float = 0.0) -> None:
        super().__init__(str(error))
        self.error, self.wait_s = error, wait_s


def _attempt(client: httpx.Client, request: SpeechRequest, target: Path) -> None:
    headers = {"Accept": "audio/wav, audio/*;q=0.9", **OUTGOING_HEADERS}
    if request.key:
        headers["Authorization"] = f"Bearer {request.key}"
    host = request.host
    try:
        with client.stream("POST", request.url, json=request.body, headers=headers) as answer:
            if answer.status_code != 200:
                raise refusal(_with_short_body(answer), request)
            kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind.startswith("text/") or kind in ("application/json", "application/problem+json"):
                raise Unavailable(
                    "speech.upstream_bad_audio",
                    f"The speech service at {host} answered with {kind} instead of sound.",
                    "Check the address: it must be that of the speech service itself.",
                )
            packed = answer.headers.get("content-encoding", "identity").strip().lower()
            if packed != "identity":
                raise Unavailable(
                    "speech.upstream_bad_audio",
                    f"The speech service at {host} packed its answer with {packed}, unasked.",
                    "Have it, and any proxy in front of it, answer as it is asked: with plain bytes.",
                )
            _save(answer, target, host)
    except httpx.TimeoutException as error:
        raise _Passing(
            Unavailable(
                "speech.upstream_timeout",
                f"The speech service at {host} took too long.",
                "Try again, or shorten the scene.",
            )
        ) from error
    except httpx.ConnectError as error:
        raise _Passing(
            Unavailable(
                "speech.upstream_unreachable",
                f"The speech service at {host} does not answer.",
                "Start it, or correct the address of the voice.",
            )
        ) from error
    except httpx.TransportError as error:
        raise _Passing(_cut(host)) from error


def _with_short_body(answer: httpx.Response) -> httpx.Response:
    """A refusal as it came, with the beginning of its words: it may be of any length."""
    body = b""
    for chunk in answer.iter_raw():
        body += chunk
        if len(body) >= MAX_REFUSAL_BYTES:
            break
    headers = {name: value for name, value in answer.headers.items() if name != "content-encoding"}
    return httpx.Response(answer.status_code, headers=headers, content=body[:MAX_REFUSAL_BYTES])


def _save(answer: httpx.Response, target: Path, host: str) -> None:
    received = 0
    with target.open("wb") as file:
        for chunk in answer.iter_bytes():
            received += len(chunk)
            if received > MAX_ANSWER_BYTES:
                raise Unavailable(
                    "speech.upstream_bad_audio",
                    f"The speech service at {host} sent more than {MAX_ANSWER_BYTES // 2**20} MiB at once.",
                    "Check the service.",
                )
            file.write(chunk)
    if received == 0 or _is_cut(target):
        raise _Passing(_cut(host))


def _is_cut(path: Path) -> bool:
    """True for a WAV that promises more samples than it holds; other formats are left to the decoder."""
    size = path.stat().st_size
    with path.open("rb") as file:
        if size < 12 or file.read(4) != b"RIFF":
            return size < 12
        file.seek(12)
        while header := file.read(8):
            if len(header) < 8:
                return True
            name, length = struct.unpack("<4sI", header)
            if name == b"data":
                return int(length) < _STREAMING_SIZE and file.tell() + int(length) > size
            file.seek(length + length % 2, os.SEEK_CUR)
    return True


def _cut(host: str) -> Unavailable:
    return Unavailable(
        "speech.upstream_bad_audio",
        f"The sound from the speech service at {host} broke off.",
        "Try again; check the service.",
    )


def refusal(answer: httpx.Response, request: SpeechRequest) -> Exception:
    status, host = answer.status_code, request.host
    if status in (401, 403):
        where = (
            f"check the key in {request.key_variable}"
            if request.key_variable
            else "name a variable that holds a key"
        )
        return InvalidInput(
            "speech.upstream_denied", f"The speech service at {host} refused the key ({status}).", where
        )
    if status == 429:
        busy = Unavailable(
            "speech.upstream_busy", f"The speech service at {host} has too much to do (429).", "try later"
        )
        return _Passing(busy, _retry_after_s(answer))
    if status >= 500 or status == 408:
        failed = Unavailable(
            "speech.upstream_failed",
            f"The speech service at {host} failed ({status}).",
            "Try again; look at its log.",
        )
        return _Passing(failed, _retry_after_s(answer))
    reason = _reason(answer, request.key)
    return InvalidInput(
        "speech.upstream_rejected",
        f"The speech service at {host} does not take the request ({status})"
        + (f": {reason}" if reason else "."),
        "Check model, voice and address of the voice.",
    )


def _retry_after_s(answer: httpx.Response) -> float:
    """Seconds of a Retry-After header; its date form is rare in APIs and counts as no wish."""
    try:
        return max(0.0, float(answer.headers.get("retry-after", "0")))
    except ValueError:
        return 0.0


def _reason(answer: httpx.Response, key: str | None) -> str:
    """The service's own words, short, printable and without the key."""
    try:
        content = answer.json()
    except ValueError:
        return ""
    found = (
        content.get("error", content.get("detail", content.get("message")))
        if isinstance(content, dict)
        else None
    )
    text = found.get("message") if isinstance(found, dict) else found
    if not isinstance(text, str):
        return ""
    if key:
        text = text.replace(key, "…")
    return "".join(char if char.isprintable() else " " for char in text)[:MAX_REASON_CHARS]


def is_local(request: SpeechRequest) -> bool:
    host = httpx.URL(request.url).host
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
