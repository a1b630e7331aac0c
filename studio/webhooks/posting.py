"""One try of one delivery over HTTP; called by the sender."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

import httpx

from soundstage.errors import SoundstageError
from soundstage.http import Bounds, Destinations, outgoing_client, retry_after_of
from soundstage.one_line import printable

# More than is ever read of an answer here.
ANSWER_BYTES = 1 << 20
LONGEST_ERROR_CHARS = 500
USER_AGENT = "Soundstage-Webhooks/1"


@dataclass(frozen=True, slots=True)
class Posted:
    """`status` None: no answer came, and `error` says why. `retry_after_s` is what the receiver asked for."""

    duration_ms: int
    status: int | None = None
    answer: str = ""
    error: str = ""
    retry_after_s: float | None = None

    @property
    def accepted(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


async def post(
    url: str,
    body: str,
    headers: Mapping[str, str],
    *,
    destinations: Destinations,
    timeout_s: float,
    answer_bytes: int = 0,
) -> Posted:
    """Never raises for what the receiver does. Redirects are not followed: they could lead anywhere. Of the
    answer's body `answer_bytes` are read and kept, and no byte more.
    """
    began = time.monotonic()

    def took() -> int:
        return round((time.monotonic() - began) * 1000)

    bounds = Bounds(silence_s=timeout_s, answer_bytes=ANSWER_BYTES, total_s=timeout_s)
    sent = {**headers, "content-type": "application/json", "user-agent": USER_AGENT}
    try:
        async with (
            outgoing_client(destinations, bounds) as client,
            client.stream("POST", url, content=body.encode(), headers=sent) as response,
        ):
            beginning = await _beginning(response, answer_bytes)
            answer = printable(beginning.decode(errors="replace")).strip()
            return Posted(took(), response.status_code, answer, retry_after_s=retry_after_of(response))
    except SoundstageError as error:
        return Posted(took(), error=f"{error.code}: {error.message}"[:LONGEST_ERROR_CHARS])
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        return Posted(took(), error=f"{type(error).__name__}: {error}"[:LONGEST_ERROR_CHARS])


async def _beginning(response: httpx.Response, maximum: int) -> bytes:
    """Returns the beginning of an answer. A compressed body, which was not requested, is not read: only its
    status matters.
    """
    found = b""
    if maximum:
        with suppress(httpx.DecodingError):
            async for part in response.aiter_raw():
                found += part
                if len(found) >= maximum:
                    break
    return found[:maximum]
