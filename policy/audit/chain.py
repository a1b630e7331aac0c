"""The hash that joins a record to all before it; used by the audit logs of both processes."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Sequence
from typing import Any

GENESIS = "0" * 64


def chain_hash(content: Sequence[Any], key: bytes | None = None) -> str:
    """Returns 64 hex digits over the values of a record; the hash of the record before is one of them.

    HMAC-SHA-256 (RFC 2104) with a key, so that a line cannot be computed without it; else SHA-256.
    """
    text = json.dumps(list(content), sort_keys=True, ensure_ascii=False).encode(errors="surrogatepass")
    return hashlib.sha256(text).hexdigest() if key is None else hmac.digest(key, text, "sha256").hex()
