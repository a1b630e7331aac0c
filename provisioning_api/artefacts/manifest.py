"""The signed manifest: what deploy agents check before they trust a byte. Stock iPXE cannot, and does not.

`manifest.json` names every file with its size, its SHA-256 and those of its pieces; `manifest.json.sig` is
an Ed25519 signature (RFC 8032, 128 hex digits) over exactly these bytes. The agent carries the public key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import BaseModel, Field, ValidationError

from soundstage.errors import Forbidden

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,100}$"
MANIFEST, SIGNATURE = "manifest.json", "manifest.json.sig"
# Small enough to be held in the memory of a ramdisk, and checked before it is written to a disk.
CHUNK_BYTES = 4 << 20

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Artefact(BaseModel, extra="forbid"):
    """One file. `chunks` are the hashes of its pieces of `chunk_bytes`, the last one may be shorter."""

    name: str = Field(pattern=NAME)
    bytes: int = Field(ge=0)
    sha256: Sha256
    chunk_bytes: int = Field(default=CHUNK_BYTES, ge=1)
    chunks: list[Sha256]


class Manifest(BaseModel, extra="forbid"):
    version: int = 1
    made_at: datetime
    artefacts: list[Artefact]

    def find(self, name: str) -> Artefact | None:
        return next((one for one in self.artefacts if one.name == name), None)


def describe(path: Path) -> Artefact:
    """Reads the file once."""
    whole, chunks, size = hashlib.sha256(), [], 0
    for chunk in _chunks(path):
        whole.update(chunk)
        chunks.append(hashlib.sha256(chunk).hexdigest())
        size += len(chunk)
    return Artefact(name=path.name, bytes=size, sha256=whole.hexdigest(), chunks=chunks)


def verify_manifest(content: bytes, signature_hex: str, public_key: bytes) -> Manifest:
    """Returns the manifest if our key signed it; raises `artefact.bad_signature` otherwise."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(bytes.fromhex(signature_hex.strip()), content)
        return Manifest.model_validate_json(content)
    except (InvalidSignature, ValueError, ValidationError) as error:
        raise Forbidden(
            "artefact.bad_signature",
            "The manifest is not signed with the key of this installation, or was changed since.",
            "Sign it anew: `soundstage machines publish`, after looking at what has changed in the folder.",
        ) from error


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk
