"""Normalizes addresses of speech services, so that each has one name."""

from __future__ import annotations

import httpx

from soundstage.errors import Invalid

HERE = "127.0.0.1"
ALSO_HERE = ("localhost", "::1")


def address_of(base_url: str) -> httpx.URL:
    """The address without `/v1`, `/audio/speech` and a slash at its end; raises `speech.bad_address`.

    People write it as they do for speaking: the server, its `/v1`, or the whole path.
    """
    try:
        url = httpx.URL(base_url.strip())
    except (httpx.InvalidURL, ValueError):
        url = httpx.URL("")
    if url.scheme not in ("http", "https") or not url.host:
        raise Invalid(
            "speech.bad_address",
            "The address of the speech service is not a web address.",
            "Write it like http://127.0.0.1:8091.",
        )
    path = url.path.rstrip("/").removesuffix("/audio/speech").removesuffix("/v1")
    return url.copy_with(path=path or "/", query=None, fragment=None)


def root_of(base_url: str) -> str:
    """Returns the canonical address of a service, for each name of this machine; raises
    `speech.bad_address`.
    """
    url = address_of(base_url)
    host = HERE if url.host in ALSO_HERE else url.host
    return str(url.copy_with(host=host, userinfo=b"")).rstrip("/")
