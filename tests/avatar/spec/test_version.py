"""The worker's version follows its files, so that a changed engine never reuses an older one's segments."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import avatar

PROGRAM = "from avatar.version import worker_version; print(worker_version())"


def version_of(source: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={"PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_a_changed_file_changes_the_version_and_a_compiled_one_does_not(tmp_path: Path) -> None:
    package = tmp_path / "avatar"
    shutil.copytree(Path(avatar.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    first = version_of(tmp_path)
    assert first.startswith(avatar.__version__ + "+")
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "x.pyc").write_bytes(b"1")
    assert version_of(tmp_path) == first
    (package / "tracks.py").write_text((package / "tracks.py").read_text() + "\n# changed\n")
    assert version_of(tmp_path) != first
