"""The certificate of a TLS port of ours, made anew at every start and every week; for server processes."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

from provisioning_api.enrolment.tls_authority import TlsAuthority
from soundstage.errors import SoundstageError
from soundstage.private_files import write_anew
from soundstage.telemetry import get_logger

# Far less than it lives: a process that runs for months must not end up with one that has expired.
EVERY = timedelta(days=7)

_NAME = re.compile(r"[A-Za-z0-9._:-]+")


class OwnCertificate:
    def __init__(self, tls: TlsAuthority, folder: Path) -> None:
        self._tls = tls
        self._folder = folder
        self._log = get_logger(__name__)

    def write(self, names: Sequence[str]) -> tuple[str, str]:
        """Paths of the certificate (with our CA's behind it) and of its key, which its owner alone can
        read.
        """
        certificate, key = self._tls.own_certificate([name for name in names if _NAME.fullmatch(name)])
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        paths = self._folder / "server.pem", self._folder / "server.key"
        for path, content in zip(paths, (certificate, key), strict=True):
            write_anew(path, content.encode("ascii"))
        return str(paths[0]), str(paths[1])

    async def keep_fresh(
        self, context: ssl.SSLContext, names: Callable[[], Sequence[str]], *, every: timedelta = EVERY
    ) -> None:
        """Puts a new one into a context that is in use, again and again; connections that are there stay.

        What fails, on a full disk for example, is logged and tried again the next time.
        """
        while True:
            await asyncio.sleep(every.total_seconds())
            try:
                context.load_cert_chain(*await asyncio.to_thread(self.write, names()))
            except (OSError, SoundstageError) as error:
                self._log.error("our own certificate could not be changed", reason=str(error))
