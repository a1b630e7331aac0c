"""Records spans of slow statements. A span for each would cost a tenth of a short one: see decision 0062."""

from __future__ import annotations

import re

from soundstage.tracing import Kind, now_ns, record_since, trace_id

SLOW_S = 0.05
_TABLE = re.compile(r"\b(?:FROM|INTO|UPDATE)\s+\"?(\w+)", re.IGNORECASE)


def record_slow(name: str, seconds: float, system: str) -> None:
    """Records a span that ends now, where a trace runs; the name has no values."""
    if trace_id() is not None:
        record_since(name, now_ns() - round(seconds * 1e9), {"db.system.name": system}, Kind.CLIENT)


def statement_name(sql: str) -> str:
    """Returns the verb and the first table: `SELECT renders`."""
    verb = sql.split(None, 1)[0].upper() if sql.strip() else "SQL"
    table = _TABLE.search(sql)
    return f"{verb} {table[1]}" if table else verb
