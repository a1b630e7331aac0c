"""Weights are those of the manifest, or named with where to get them and what their licence allows."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import weights_check


class Weights:
    """A folder of weights, their manifest, and the check."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "models"
        self.folder.mkdir()
        self.manifest = folder / "models.json"
        self.memory = folder / "state" / "memory.json"
        self.entries: list[dict[str, str]] = []

    def expect(self, path: str, content: bytes) -> Path:
        digest = hashlib.sha256(content).hexdigest()
        entry = {
            "path": path,
            "sha256": digest,
            "source": "https://example.org/lips",
            "licence": "research only",
        }
        self.entries.append(entry)
        return self.folder / path

    def problems(self, *options: str) -> list[dict[str, Any]]:
        self.manifest.write_text(json.dumps({"folder": str(self.folder), "weights": self.entries}))
        command = [
            sys.executable,
            "-I",
            weights_check.__file__,
            self.manifest,
            "--memory",
            self.memory,
            *options,
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def weights(tmp_path: Path) -> Weights:
    return Weights(tmp_path)


def test_the_right_file_is_no_problem(weights: Weights) -> None:
    weights.expect("lips.safetensors", b"right").write_bytes(b"right")
    assert weights.problems() == []
    assert weights.problems() == []  # and from memory


def test_a_missing_file_is_named_with_its_source_and_licence(weights: Weights) -> None:
    weights.expect("lips.safetensors", b"right")
    (problem,) = weights.problems()
    assert (problem["code"], problem["path"]) == ("models.missing", "lips.safetensors")
    assert "https://example.org/lips (licence: research only)" in problem["hint"]


def test_another_file_is_found_also_when_the_right_one_was_read_before(weights: Weights) -> None:
    file = weights.expect("lips.safetensors", b"right")
    file.write_bytes(b"right")
    assert weights.problems() == []
    file.write_bytes(b"wrong")
    assert [one["code"] for one in weights.problems()] == ["models.damaged"]


def test_bits_that_rot_without_a_trace_are_found_when_all_is_read_anew(weights: Weights) -> None:
    file = weights.expect("lips.safetensors", b"right")
    file.write_bytes(b"right")
    assert weights.problems() == []
    state = file.stat()
    file.write_bytes(b"wrong")
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert weights.problems() == []
    assert [one["code"] for one in weights.problems("--anew")] == ["models.damaged"]


def test_a_memory_that_cannot_be_read_is_no_memory(weights: Weights) -> None:
    weights.expect("lips.safetensors", b"right").write_bytes(b"right")
    weights.memory.parent.mkdir()
    for rubbish in ("", "[]", '{"a": 1}'):
        weights.memory.write_text(rubbish)
        assert weights.problems() == []


def test_a_disk_that_takes_no_memory_hides_no_problem(weights: Weights) -> None:
    weights.expect("lips.safetensors", b"right").write_bytes(b"wrong")
    weights.memory.parent.write_text("no folder can be made here")
    assert [one["code"] for one in weights.problems()] == ["models.damaged"]
