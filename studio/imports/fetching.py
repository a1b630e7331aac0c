"""Fetches the document behind a URL that a person names: public addresses alone, a few redirects, a bounded
size and time; called by the import service.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

import httpx

from soundstage.errors import Invalid, Upstream
from soundstage.http import Bounds, Destinations, check_declared_length, outgoing_client

SILENCE_S = 15.0
TOTAL_S = 60.0
MAX_REDIRECTS = 5
_ACCEPT = "text/html, text/markdown, text/plain, application/vnd.openxmlformats-officedocument.*, */*;q=0.1"


@dataclass(frozen=True, slots=True)
class Fetched:
    """A document on the disk; `media_type` is what its server says of it."""

    name: str
    media_type: str


async def fetch_document(url: str, target: Path, destinations: Destinations, max_bytes: int) -> Fetched:
    """Writes what answers at `url` into `target`. Each address on the way is checked as the first one.

    Raises Invalid `import.bad_url`, Upstream `import.not_fetched`, and those of the outgoing client
    (`outgoing.…`).
    """
    try:
        address = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise Invalid(
            "import.bad_url", "The URL cannot be read.", "Copy it from the address bar of a browser."
        ) from error
    bounds = Bounds(silence_s=SILENCE_S, answer_bytes=max_bytes, total_s=TOTAL_S)
    try:
        async with outgoing_client(destinations, bounds, headers={"accept": _ACCEPT}) as client:
            for _ in range(MAX_REDIRECTS + 1):
                async with client.stream("GET", address) as answer:
                    if answer.is_redirect and "location" in answer.headers:
                        address = address.join(answer.headers["location"])
                        continue
                    if answer.status_code != 200:
                        raise _not_fetched(address.host, f"answered with {answer.status_code}")
                    check_declared_length(answer, bounds)
                    with target.open("wb") as file:
                        async for chunk in answer.aiter_raw():
                            file.write(chunk)
                    media_type = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
                    return Fetched(unquote(PurePosixPath(address.path).name), media_type)
            raise _not_fetched(address.host, "redirects again and again")
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise _not_fetched(address.host or "its host", "cannot be reached, or broke off") from error


def _not_fetched(host: str, why: str) -> Upstream:
    return Upstream(
        "import.not_fetched",
        f"The document was not fetched: {host} {why}.",
        "Check the URL in a browser; what needs a login can be saved there and uploaded as a file.",
    )
