"""Finds the URLs by which machines reach us, from settings or from the request; built by the wiring."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from provisioning_api.boot.scripts import Place


@dataclass(frozen=True, slots=True)
class Places:
    public_url: str | None
    tls_port: int

    def place(self, host: str, port: int | None) -> Place:
        """`host` and `port` as the machine asked; the settings know better when they say something."""
        if self.public_url is not None:
            host = urlsplit(self.public_url).hostname or host
            host = f"[{host}]" if ":" in host else host
            plain = self.public_url.rstrip("/")
        else:
            plain = f"http://{host}" if port in (None, 80) else f"http://{host}:{port}"
        return Place(plain, f"https://{host}:{self.tls_port}")
