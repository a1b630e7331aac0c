"""`soundstage up` as a program of its own, on free ports, for tests of what speaks to a running server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROGRAM = Path(sys.executable).with_name("soundstage")
PATIENCE_S = 120


@dataclass(frozen=True)
class RunningStudio:
    """One server; `ready` is what it printed when it was up."""

    process: subprocess.Popen[str]
    ready: dict[str, Any]
    admin_key: str

    @property
    def url(self) -> str:
        return str(self.ready["url"])

    def stop(self) -> None:
        """SIGTERM, and wait for the end."""
        self.process.terminate()
        self.process.wait(PATIENCE_S)


@contextmanager
def running_studio(folder: Path, **environment: str) -> Iterator[RunningStudio]:
    """Up in `folder`, without the provisioning process."""
    variables = {"SOUNDSTAGE_HTTP__PORT": "0", "SOUNDSTAGE_PROVISIONING__ENABLED": "false", **environment}
    process = subprocess.Popen(
        [PROGRAM, "up", "--json"],
        cwd=folder,
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        key = ""
        for line in process.stdout:
            said = json.loads(line)
            if said["event"] == "admin_key":
                key = Path(said["key_file"]).read_text().strip()
            if said["event"] == "ready":
                yield RunningStudio(process, said, key)
                break
        else:
            raise AssertionError("the server ended before it was ready")
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
