"""How speech services are named: the same one however its address is written."""

from __future__ import annotations

import ipaddress
from contextlib import suppress

import httpx

from soundstage.errors import Invalid


def root_of(base_url: str) -> str:
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
    return str(url.copy_with(path=path or "/", query=None, fragment=None)).rstrip("/")


def is_near(host: str) -> bool:
    """Whether it is this machine. A proxy of the environment is for the outside world."""
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"
