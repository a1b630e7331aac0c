"""The hash that joins a record to all before it; used by the audit logs of both processes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

BEGINNING = "0" * 64


def link(content: Sequence[Any]) -> str:
    """SHA-256 (64 hex digits) over the values of a record; the hash of the record before is one of them."""
    text = json.dumps(list(content), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
