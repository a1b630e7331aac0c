"""Issues the certificate of our own TLS ports, at every start and every week; used by both server
processes.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509

from provisioning_api.certificates.tls_authority import TlsAuthority
from soundstage.background import Worker
from soundstage.private_files import write_anew

# Far less than it lives: a process that runs for months must not end up with one that has expired.
EVERY = timedelta(days=7)

FILE = "server.pem"
_NAME = re.compile(r"[A-Za-z0-9._:-]+")


class ServerCertificate:
    def __init__(self, tls: TlsAuthority, folder: Path) -> None:
        self._tls = tls
        self._folder = folder
        self._written_at = float("-inf")

    def write(self, names: Sequence[str]) -> tuple[str, str]:
        """Signs and stores a certificate. Returns the paths of it (with our CA's behind it) and of its key,
        which its owner alone can read.
        """
        certificate, key = self._tls.server_certificate([name for name in names if _NAME.fullmatch(name)])
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        paths = self._folder / FILE, self._folder / "server.key"
        for path, content in zip(paths, (certificate, key), strict=True):
            write_anew(path, content.encode("ascii"))
        self._written_at = time.monotonic()
        return str(paths[0]), str(paths[1])

    def renewal(
        self, context: ssl.SSLContext, names: Callable[[], Sequence[str]], *, every: timedelta = EVERY
    ) -> Worker:
        """Returns the worker that loads a new certificate into a context in use; open connections stay.

        A failed renewal, on a full disk for example, is tried again the next time.
        """

        async def renew() -> float | None:
            due_in_s = self._written_at + every.total_seconds() - time.monotonic()
            if due_in_s > 0:
                return due_in_s
            context.load_cert_chain(*await asyncio.to_thread(self.write, names()))
            return None

        return Worker("server certificate", renew, poll_s=every.total_seconds())


def expiry_of(folder: Path) -> datetime | None:
    """Returns when the certificate that was issued last ends; None without one."""
    try:
        return x509.load_pem_x509_certificate((folder / FILE).read_bytes()).not_valid_after_utc
    except (OSError, ValueError):
        return None
