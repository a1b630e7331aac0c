"""Headers of the tus protocol 1.0.0 (https://tus.io/protocols/resumable-upload): core, creation, expiration,
termination.
"""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime
from email.utils import format_datetime

from starlette.datastructures import Headers

from soundstage.errors import Invalid, SoundstageError

VERSION = "1.0.0"
EXTENSIONS = "creation,expiration,termination"
CONTENT_TYPE = "application/offset+octet-stream"
MAX_METADATA_CHARS = 16_384
MAX_DIGITS = 18


def require_version(headers: Headers) -> None:
    """Raises `upload.tus_version` (412) for a client of another version, or of none."""
    if headers.get("tus-resumable") != VERSION:
        raise SoundstageError(
            "upload.tus_version",
            f"The request does not say `Tus-Resumable: {VERSION}`.",
            "Use a client of tus 1.0.0, or upload the file whole.",
            status=412,
            headers={"Tus-Version": VERSION},
        )


def require_piece(headers: Headers) -> None:
    """Raises `upload.content_type` (415)."""
    if headers.get("content-type", "").partition(";")[0].strip().lower() != CONTENT_TYPE:
        raise SoundstageError(
            "upload.content_type", f"A piece of an upload is {CONTENT_TYPE}.", "Send that type.", status=415
        )


def number_in(headers: Headers, name: str) -> int:
    """Return a header that is a number from 0 on. Raises `upload.bad_header`."""
    text = headers.get(name, "")
    if not text.isascii() or not text.isdigit() or len(text) > MAX_DIGITS:
        raise Invalid(
            "upload.bad_header",
            f"The header {name} is no number.",
            "Send the length with the first request, and the offset with each piece.",
        )
    return int(text)


def metadata_in(header: str) -> dict[str, str]:
    """Return the pairs of `Upload-Metadata`: keys, and values in base64, with commas between. Raises
    `upload.bad_metadata`.
    """
    if len(header) > MAX_METADATA_CHARS:
        raise _bad_metadata(f"it has more than {MAX_METADATA_CHARS} characters")
    found: dict[str, str] = {}
    for pair in header.split(",") if header.strip() else ():
        key, _, value = pair.strip().partition(" ")
        if not key or key in found:
            raise _bad_metadata("a key is empty or stands there twice")
        try:
            found[key] = base64.b64decode(value.strip(), validate=True).decode()
        except (binascii.Error, ValueError) as error:
            raise _bad_metadata(f"the value of {key[:40]!r} is no text in base64") from error
    return found


def http_date(moment: datetime) -> str:
    """Return a time as HTTP writes it (RFC 9110 §5.6.7)."""
    return format_datetime(moment.astimezone(UTC), usegmt=True)


def _bad_metadata(why: str) -> Invalid:
    return Invalid("upload.bad_metadata", f"`Upload-Metadata` cannot be read: {why}.", "Correct it.")
