"""Reads the `Idempotency-Key` header; a FastAPI dependency of the routes that honour it."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Depends, Header

from soundstage.errors import Invalid

# A string of RFC 8941 §3.3.3. The draft wants this form; most clients send the bare key, so both are read.
_QUOTED = re.compile(r'"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"')
_BARE = re.compile(r"[\x21\x23-\x7e]+")
_ESCAPED = re.compile(r'\\(["\\])')
LONGEST_KEY = 255


def read_key(header: str) -> str:
    """The key without its quotes; `idempotency.bad_key` (400) for anything else."""
    text = header.strip()
    quoted = _QUOTED.fullmatch(text)
    key = _ESCAPED.sub(r"\1", quoted.group(1)) if quoted else text
    if not key or len(key) > LONGEST_KEY or (quoted is None and not _BARE.fullmatch(text)):
        raise Invalid(
            "idempotency.bad_key",
            "The Idempotency-Key is not a quoted string of 1 to 255 visible characters.",
            'Send a new UUID per request: Idempotency-Key: "8e03978e-40d5-43dd-bc93-6894a57f9324".',
            400,
        )
    return key


def idempotency_key(
    header: Annotated[
        str | None,
        Header(alias="Idempotency-Key", description="sent again with the same body, nothing is made twice"),
    ] = None,
) -> str | None:
    return None if header is None else read_key(header)


IdempotencyKeyDep = Annotated[str | None, Depends(idempotency_key)]
