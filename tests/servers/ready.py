"""`soundstage up --json` as a child: what it tells until it answers requests."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any


def told_until_ready(process: subprocess.Popen[str], log: Path) -> dict[str, Any]:
    """The fields of all its lines together: `url`, `provisioning_url`, `provisioning_tls_url`, and `key` (out
    of the file that it names) at the first start. AssertionError with its log when it ends before.
    """
    assert process.stdout is not None
    told: dict[str, Any] = {}
    for line in process.stdout:
        told |= json.loads(line)
        if told["event"] == "ready":
            if "key_file" in told:
                told["key"] = Path(told["key_file"]).read_text()
            return told
    raise AssertionError(log.read_text())
