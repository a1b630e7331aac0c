"""Writes the reference of all metrics from their declarations; called by docs_generate.py."""

from __future__ import annotations

from soundstage.telemetry.instruments import MAX_SERIES, PREFIX, Bound, Declaration
from soundstage.telemetry.metrics import list_metrics

PARTS = {
    "control": (
        "The studio",
        "The server of the studio shows them at `/metrics` (permission `metrics:read`).",
    ),
    "provisioning": (
        "The provisioning API",
        "Its own process shows them at its own `/metrics` (permission `metrics:read`).",
    ),
    "node": (
        "Nodes",
        "Programs on a node write them into the text files of node-exporter, which shows them.",
    ),
}
INTRODUCTION = f"""# Metrics

Every name begins with `{PREFIX}`. No label holds a tenant, a user, a session or the name of a file.
A value that is not declared counts as `other`, and a metric has at most {MAX_SERIES} combinations of labels.

Gauges marked *read* are read from the database at a scrape, at most once in five seconds: they stay true
after a restart and beside other processes. All others belong to the process and begin anew with it, so use
`rate()` and `increase()`. With `Accept: application/openmetrics-text` buckets carry
the trace id of their last value.

Besides there are the figures of the process, such as `process_resident_memory_bytes`.
"""


def metrics_page() -> str:
    lines = [INTRODUCTION]
    for process, (title, where) in PARTS.items():
        lines += [f"## {title}\n", f"{where}\n", "| metric | kind | what | labels |", "|---|---|---|---|"]
        lines += [_row(one.declaration) for one in list_metrics(process)]
        lines.append("")
    return "\n".join(lines)


def _row(one: Declaration) -> str:
    kind = "gauge, read" if one.kind == "state" else one.kind
    labels = "; ".join(f"`{name}`: {_values(bound)}" for name, bound in one.labels.items())
    return f"| `{one.full_name}` | {kind} | {one.sentence} | {labels} |"


def _values(bound: Bound) -> str:
    return bound if isinstance(bound, str) else ", ".join(f"`{value}`" for value in bound)
