"""Authorities of the tests' own, and what they sign."""

from __future__ import annotations

from pathlib import Path

from provisioning_api.certificates.key_folder import KeyFolder
from provisioning_api.certificates.tls_authority import TlsAuthority


class Authority:
    """Signs certificates of servers and clients on loopback, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._authority = TlsAuthority(KeyFolder(folder), f"authority {folder.name}")
        self.pem = self._authority.pem

    def issue(self) -> tuple[Path, Path]:
        """Returns the files of a certificate for 127.0.0.1 and of its key."""
        certificate, key = self._authority.server_certificate(["localhost", "127.0.0.1"])
        files = self._folder / "issued.pem", self._folder / "issued-key.pem"
        for file, text in zip(files, (certificate, key), strict=True):
            file.write_text(text)
        return files
