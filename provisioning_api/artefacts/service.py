"""Publishes and serves artefacts: only what the signed manifest names leaves the folder."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from cryptography.hazmat.primitives import serialization

from provisioning_api.artefacts.manifest import MANIFEST, NAME, SIGNATURE, Manifest, describe, verify_manifest
from provisioning_api.audit.service import AuditLog
from provisioning_api.certificates.key_folder import KeyFolder
from soundstage.database import utcnow
from soundstage.errors import NotFound, Unavailable
from soundstage.private_files import replace_file

KEY = "manifest.key"


class ArtefactService:
    def __init__(self, folder: Path, keys: KeyFolder, audit: AuditLog) -> None:
        self._folder = folder
        self._keys = keys
        self._audit = audit

    @property
    def public_key(self) -> bytes:
        """32 bytes that deploy agents carry."""
        raw = serialization.Encoding.Raw, serialization.PublicFormat.Raw
        return self._keys.ed25519(KEY).public_key().public_bytes(*raw)

    async def publish(self, *, by: str) -> Manifest:
        """Describes and signs what lies in the folder now; machines get this and nothing else from then
        on.
        """
        manifest = await asyncio.to_thread(self._publish)
        names = {artefact.name: artefact.sha256 for artefact in manifest.artefacts}
        await self._audit.record_now(by, "artefacts.published", "artefacts", names)
        return manifest

    def manifest(self) -> Manifest | None:
        """The published one, its signature checked; None before the first."""
        try:
            content = (self._folder / MANIFEST).read_bytes()
            signature = (self._folder / SIGNATURE).read_text(encoding="ascii")
        except (FileNotFoundError, UnicodeDecodeError):
            return None
        return verify_manifest(content, signature, self.public_key)

    def path(self, name: str) -> Path:
        """A published file. A name is looked up in the manifest and never joined to a path unseen."""
        if name not in (MANIFEST, SIGNATURE):
            manifest = self.manifest()
            artefact = manifest.find(name) if manifest is not None else None
            if artefact is None:
                raise _unpublished(name)
            name = artefact.name
        path = self._folder / name
        if not path.is_file() or path.is_symlink():
            raise _unpublished(name)
        return path

    def _publish(self) -> Manifest:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            names = sorted(
                path.name
                for path in self._folder.iterdir()
                if path.is_file() and not path.is_symlink() and re.match(NAME, path.name)
            )
            found = [describe(self._folder / name) for name in names if name not in (MANIFEST, SIGNATURE)]
            manifest = Manifest(made_at=utcnow(), artefacts=found)
            content = manifest.model_dump_json(indent=1).encode()
            signature = self._keys.ed25519(KEY).sign(content).hex().encode() + b"\n"
            # The signature first: a reader between the two sees a manifest that does not fit, and waits.
            replace_file(self._folder / SIGNATURE, signature, 0o644)
            replace_file(self._folder / MANIFEST, content, 0o644)
        except OSError as error:
            raise Unavailable(
                "artefact.cannot_publish",
                f"The folder {self._folder} cannot be used: {error.strerror}.",
                "Check `provisioning.artefact_dir`.",
            ) from error
        return manifest


def _unpublished(name: str) -> NotFound:
    return NotFound(
        "artefact.not_found",
        f"Nothing called {name[:100]!r} is published.",
        "Put it into the folder of the artefacts, then `soundstage machines publish`.",
    )
