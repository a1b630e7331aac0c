"""`soundstage-backup` with the settings of a test, and a repository of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).resolve().parents[2] / "ansible/roles/backup/files/backup"
PASSWORD = "the machine's own password"


class Backups:
    """Runs the program as the role installs it: with the machine's Python and nothing of the checkout."""

    def __init__(self, folder: Path, repository: str = "", **settings: Any) -> None:
        if shutil.which("restic") is None:
            pytest.skip("restic is not installed: apt install restic age")
        folder.mkdir(exist_ok=True)
        self.state = folder / "backup-state"
        self.file = folder / "backup.json"
        (folder / "password").write_text(f"{PASSWORD}\n")
        self.repository = repository or str(folder / "repository")
        self.config: dict[str, Any] = {
            "repository": self.repository,
            "password_file": str(folder / "password"),
            "host": "control-1",
            "state_folder": str(self.state),
            "old_folder": str(folder / "old"),
            "metrics_file": str(folder / "metrics" / "soundstage_backup.prom"),
            "keep": {"last": 3},
            "oldest_h": 30,
            "verify_days": 8,
            "verify_percent": 100,
            "prove_key_days": 180,
            "databases": [],
            **settings,
        }
        self.run("init")

    def start(self, *words: str | Path) -> subprocess.Popen[str]:
        self.file.write_text(json.dumps(self.config))
        command = [sys.executable, "-I", PROGRAM, "--config", self.file, *words]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        process = self.start(*words)
        out, err = process.communicate(timeout=120)
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def take(self) -> str:
        """Returns the name of a new copy."""
        done = self.run("take")
        assert done.returncode == 0, done.stderr
        return done.stdout.split()[0]

    def copies(self) -> list[str]:
        return self.run("list").stdout.split()

    def problems(self) -> list[str]:
        return [json.loads(line)["code"] for line in self.run("check").stdout.splitlines()]

    def restic(self, *words: str, environment: Mapping[str, str] = {}) -> str:
        """Returns the output of restic itself on the repository."""
        secret = {"RESTIC_PASSWORD": PASSWORD, "TZ": "UTC", **os.environ, **environment}
        command = ["restic", "--no-cache", "--repo", self.repository, *words]
        return subprocess.run(command, env=secret, check=True, capture_output=True, text=True).stdout

    def files(self, copy: str) -> list[str]:
        """Names of the files in a copy."""
        found = json.loads(self.restic("snapshots", "--json"))
        when = f"{copy[:4]}-{copy[4:6]}-{copy[6:8]}T{copy[9:11]}:{copy[11:13]}:{copy[13:15]}"
        snapshot = next(one["id"] for one in found if one["time"].startswith(when))
        return [Path(line).name for line in self.restic("ls", snapshot).splitlines()]
