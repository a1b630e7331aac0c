"""One try of one delivery over HTTP; called by the sender."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import httpx

from soundstage.database import utcnow
from soundstage.errors import SoundstageError
from studio.webhooks.addresses import Reach, resolve

# Enough to see in the log what a receiver complains of.
KEPT_ANSWER_BYTES = 500
# Of one read or write; how long a try may take in all is a setting.
CALL_TIMEOUT_S = 60.0
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


async def post(url: str, body: str, headers: Mapping[str, str], *, reach: Reach, timeout_s: float) -> Posted:
    """Never raises for what the receiver does. Redirects are not followed: they could lead anywhere."""
    began = time.monotonic()

    def took() -> int:
        return round((time.monotonic() - began) * 1000)

    try:
        async with asyncio.timeout(timeout_s):
            status, answer, retry_after = await _send(url, body, headers, reach)
            return Posted(took(), status, answer, retry_after_s=_seconds(retry_after))
    except TimeoutError:
        return Posted(took(), error=f"no answer within {timeout_s:g} s")
    except SoundstageError as error:
        return Posted(took(), error=error.message)
    except (httpx.HTTPError, OSError) as error:
        return Posted(took(), error=f"{type(error).__name__}: {error}"[:KEPT_ANSWER_BYTES])


async def _send(url: str, body: str, headers: Mapping[str, str], reach: Reach) -> tuple[int, str, str]:
    """Status, the beginning of the answer, and the Retry-After header."""
    target = await resolve(url, reach)
    given = httpx.URL(url)
    # A proxy would look the name up again, so the settings of the environment do not count here.
    async with httpx.AsyncClient(trust_env=False, follow_redirects=False, timeout=CALL_TIMEOUT_S) as client:
        request = client.build_request(
            "POST",
            given.copy_with(host=target.address),
            content=body.encode(),
            headers={
                **headers,
                "host": given.netloc.decode(),
                "content-type": "application/json",
                "user-agent": USER_AGENT,
                "accept-encoding": "identity",
            },
            # The certificate is still that of the name.
            extensions={"sni_hostname": target.host},
        )
        response = await client.send(request, stream=True)
        try:
            answer = await _beginning(response)
        finally:
            await response.aclose()
        return response.status_code, _shown(answer), response.headers.get("retry-after", "")


async def _beginning(response: httpx.Response) -> bytes:
    found = b""
    async for part in response.aiter_raw():
        found += part
        if len(found) >= KEPT_ANSWER_BYTES:
            break
    return found[:KEPT_ANSWER_BYTES]


def _shown(answer: bytes) -> str:
    text = answer.decode(errors="replace")
    return "".join(char if char.isprintable() else " " for char in text).strip()


def _seconds(retry_after: str) -> float | None:
    """The header may hold a number or a date (RFC 9110 §10.2.3)."""
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - utcnow()).total_seconds())
    except (ValueError, TypeError):
        return None
