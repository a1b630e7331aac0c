"""Writes what the checks found for node-exporter, which shows it to Prometheus."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from checks import Outcome


def write_metrics(file: Path, outcomes: Sequence[Outcome]) -> None:
    """Replaces `file`; does nothing on a machine without node-exporter, which has no such folder."""
    if not file.parent.is_dir():
        return
    lines = [
        "# HELP soundstage_node_check_timestamp_seconds When a check of the node ended last.",
        "# TYPE soundstage_node_check_timestamp_seconds gauge",
        *(
            f'soundstage_node_check_timestamp_seconds{{check="{_label(one.check)}"}} {one.at_s:.3f}'
            for one in outcomes
        ),
        "# HELP soundstage_node_problems Problems that the checks of the node find.",
        "# TYPE soundstage_node_problems gauge",
    ]
    found = Counter((one.check, problem.code) for one in outcomes for problem in one.problems)
    for (check, code), count in sorted(found.items()):
        lines.append(f'soundstage_node_problems{{check="{_label(check)}",code="{_label(code)}"}} {count}')
    # The exporter reads files that end in .prom alone.
    descriptor, staging = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    with os.fdopen(descriptor, "w", encoding="utf-8") as target:
        target.write("\n".join(lines) + "\n")
    Path(staging).chmod(0o644)
    Path(staging).replace(file)


def _label(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
