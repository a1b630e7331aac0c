"""The metadata of a blob."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from soundstage.errors import Invalid

DEFAULT_MEDIA_TYPE = "application/octet-stream"

_SHA256 = re.compile(r"(?:sha256:)?([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Blob:
    """A file that is stored. `sha256` is `sha256:<64 hex>`; the media type is what the giver said it is."""

    sha256: str
    bytes: int
    media_type: str = DEFAULT_MEDIA_TYPE


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """A file as the store itself knows it. `modified` moves forward when the same content is put again."""

    sha256: str
    bytes: int
    modified: datetime


def parse_sha256(text: str) -> str:
    """The 64 hex digits of `sha256:<64 hex>` or `<64 hex>`; Invalid for anything else (so never a path)."""
    match = _SHA256.fullmatch(text)
    if match is None:
        raise Invalid(
            "blob.bad_hash",
            "This is not the SHA-256 of a file.",
            "Write `sha256:` and 64 lower-case hex digits.",
        )
    return match.group(1)


def key_of(digits: str) -> str:
    """Returns where a blob lies under the root: `ab/abcdef…`; 256 folders keep each of them small."""
    return f"{digits[:2]}/{digits}"


def is_key(key: str) -> bool:
    """Returns whether `key` is where a blob would lie; anything else in the folder or bucket is not ours."""
    return len(key) == 67 and key[:2] == key[3:5] and key[2] == "/" and _SHA256.fullmatch(key[3:]) is not None
