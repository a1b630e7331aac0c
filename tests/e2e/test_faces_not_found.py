"""A picture without a face, walked from both command lines: exit code, sentence, hint, and nothing kept."""

from __future__ import annotations

import json
import sqlite3
import struct
import subprocess
import zlib
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from app.worker_command import worker_command
from soundstage.settings import Settings

MESSAGE = "No face was found in the picture."
HINT = "Use a well lit picture of one person who looks into the camera."
PERSON = ("--person", "Sky Example", "--purpose", "demos")


@pytest.fixture
def sky(home: Any) -> Path:
    """A picture of nothing but a gradient, written by hand: PNG, 320x240, 8-bit grey."""
    rows = b"".join(b"\0" + bytes(x * 255 // 319 for x in range(320)) for _ in range(240))
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", 320, 240, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)), (b"IEND", b""),
    ]  # fmt: skip
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    path: Path = home.path / "sky.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


def avatar(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*worker_command(Settings()), *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def kept_pictures(home: Any) -> int:
    """Somebody's picture must not stay where no persona came of it."""
    with closing(sqlite3.connect(home.path / "state" / "soundstage.db")) as database:
        return int(database.execute("SELECT count(*) FROM assets").fetchone()[0])


@pytest.fixture(scope="module", autouse=True)
def needs_the_tracker(tmp_path_factory: pytest.TempPathFactory) -> None:
    checks = json.loads(avatar(tmp_path_factory.mktemp("doctor"), "doctor", "--json").stdout)
    if next(check["state"] for check in checks if check["name"] == "mediapipe") != "ok":
        pytest.skip("needs the worker's extra `face` (Python 3.11 or 3.12): scripts/setup test")


def test_personas_create_says_it_and_keeps_nothing(home: Any, sky: Path) -> None:
    ran = home.run("personas", "create", "Sky", sky.name, *PERSON)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert f"{MESSAGE}  (face.not_found)" in ran.stderr and HINT in ran.stderr
    assert "Traceback" not in ran.stderr
    document = home.run("personas", "create", "Sky", sky.name, *PERSON, "--json")
    found = json.loads(document.stdout)
    assert (document.returncode, found["code"], found["hint"]) == (1, "face.not_found", HINT)
    assert "sky" not in home.run("personas", "list").stdout.lower()
    assert kept_pictures(home) == 0


def test_the_agent_says_the_same(home: Any, sky: Path) -> None:
    sentence = (
        f"Create a persona called Sky from photo ./{sky.name} with the consent of Sky Example for demos"
    )
    ran = home.run("ask", sentence)
    assert ran.returncode == 1
    assert f"{MESSAGE}  (face.not_found)" in ran.stderr and HINT in ran.stderr
    assert kept_pictures(home) == 0


@pytest.mark.parametrize("verb", ["prepare", "render"])
def test_the_worker_says_the_same_and_writes_no_file(home: Any, sky: Path, verb: str) -> None:
    consent = {"id": "c", "person": "Sky", "granted_at": "2026-01-01", "purpose": "demos"}
    face = {"kind": "photo", "image": {"path": str(sky)}, "consent": consent}
    spec = {"version": 1, "scenes": [{"id": "a", "script": "Hello.", "face": face}]}
    (home.path / "spec.json").write_text(json.dumps(spec))
    given, made = (sky.name, "sky.json") if verb == "prepare" else ("spec.json", "new/sky.mp4")
    ran = avatar(home.path, verb, given, made)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert f"{MESSAGE} [face.not_found]" in ran.stderr and HINT in ran.stderr
    last = json.loads(avatar(home.path, verb, given, made, "--json").stdout.splitlines()[-1])
    assert (last["code"], last["message"], last["hint"]) == ("face.not_found", MESSAGE, HINT)
    assert sorted(path.name for path in home.path.iterdir()) == ["sky.png", "spec.json"]
