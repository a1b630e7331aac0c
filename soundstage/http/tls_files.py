"""Reads the certificates of a client again when their files have changed: a farm that replaces its authority
writes new ones under running processes.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx

from soundstage.telemetry import get_logger

FileState = tuple[int, int, int] | None

log = get_logger(__name__)


def file_state(path: Path) -> FileState:
    """Returns what differs when a file is written or replaced; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size


def tls_context(
    *,
    ca_file: Path | str | None = None,
    ca_pem: str | None = None,
    certificate: Path | None = None,
    key: Path | None = None,
) -> ssl.SSLContext:
    """Returns a context that trusts the named authority alone, or those of the system where none is named.

    Raises OSError for files that cannot be read (an `ssl.SSLError` is one).
    """
    context = ssl.create_default_context(cafile=ca_file, cadata=ca_pem)
    if certificate is not None:
        context.load_cert_chain(certificate, key)
    return context


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Names the authorities that a client trusts, those of the system where none is named, and its own
    certificate.
    """

    ca_file: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def context(self) -> ssl.SSLContext:
        """Raises OSError for files that cannot be read (an `ssl.SSLError` is one)."""
        return tls_context(ca_file=self.ca_file, certificate=self.certificate, key=self.key)

    def state(self) -> tuple[FileState, ...]:
        named = (self.ca_file, self.certificate, self.key)
        return tuple(file_state(path) for path in named if path is not None)


class RenewingTransport(httpx.AsyncBaseTransport):
    """Sends requests by a transport with the certificates that are in the files now. Requests under way end
    on the one that they began on.
    """

    def __init__(self, files: TlsFiles, build: Callable[[ssl.SSLContext], httpx.AsyncBaseTransport]) -> None:
        """Raises OSError for files that cannot be read; later the former certificates stay in use then."""
        self._files, self._build = files, build
        self._state = files.state()
        self._transports = [build(files.context())]

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if (state := self._files.state()) != self._state:
            self._renew(state)
        return await self._transports[-1].handle_async_request(request)

    async def aclose(self) -> None:
        for transport in self._transports:
            await transport.aclose()

    def _renew(self, state: tuple[FileState, ...]) -> None:
        try:
            context = self._files.context()
        except OSError as error:
            # A certificate is there before its key.
            log.warning("tls.files_unreadable", error=str(error))
            return
        self._state = state
        self._transports.append(self._build(context))
