"""`soundstage rehearse`: what reaches the worker, and what is shown of its verdict."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from waiting import eventually

Cli = Callable[..., Any]
FIGURE = {
    "step": "lip sync", "measure": "sync: lag", "value": 12.5, "unit": "ms", "threshold": "≥ -60 and ≤ 60",
    "verdict": "passed", "meaning": "How far the lips are behind the sound.", "why": "",
}  # fmt: skip
UNMEASURED = FIGURE | {"measure": "identity", "value": None, "verdict": "not measured", "why": "no weights"}
WORKER = """#!{python}
import json, pathlib, signal, sys, time
arguments = dict(one.split("=", 1) for one in sys.argv[2:] if "=" in one)
out = pathlib.Path(arguments["--out"])
if {fails}:
    print(json.dumps(dict(event="error", code="render.write_failed", message="No room.", hint="Look.")))
    sys.exit(1)
out.mkdir(parents=True)
(out / "arguments.json").write_text(json.dumps(sys.argv[1:]))
if {waits}:
    def stop(*_):
        (out / "stopped").touch()
        sys.exit(143)
    signal.signal(signal.SIGTERM, stop)
    (out / "begun").touch()
    time.sleep(60)
(out / "verdict.json").write_text(json.dumps({verdict}))
sys.exit(1)
"""


def worker(home: Path, monkeypatch: pytest.MonkeyPatch, *, fails: bool = False, waits: bool = False) -> None:
    verdict = {"state": "incomplete", "figures": [FIGURE, UNMEASURED]}
    path = home / "worker"
    path.write_text(WORKER.format(python=sys.executable, fails=fails, waits=waits, verdict=verdict))
    path.chmod(0o755)
    monkeypatch.setenv("SOUNDSTAGE_WORKER__COMMAND", str(path))


def test_options_reach_the_worker_and_its_verdict_is_shown(
    cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker(home, monkeypatch)
    chosen = ("--weights", "w", "--video", "in.mp4", "--say", "Hello.", "--within", "20", "--cpu")
    shown = cli("rehearse", *chosen, "--person", "Ada Example", "--purpose", "tests")
    assert shown.code == 1
    (folder,) = (home / "out").glob("rehearsal-*")
    assert json.loads((folder / "arguments.json").read_text()) == [
        "rehearse",
        f"--weights={home}/w",
        f"--video={home}/in.mp4",
        f"--out={folder}",
        "--say=Hello.",
        "--person=Ada Example",
        "--purpose=tests",
        "--within=20.0",
        "--cpu",
    ]
    assert "12.5 ms" in shown.out and "no weights" in shown.out and "verdict.html" in shown.out


def test_as_json_the_verdict_is_the_answer_and_an_older_one_never_is(
    cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker(home, monkeypatch)
    named = ("rehearse", "--weights", "w", "--video", "in.mp4", "--out", "tried", "--json")
    assert cli(*named).json["figures"] == [FIGURE, UNMEASURED]
    worker(home, monkeypatch, fails=True)
    failed = cli(*named)
    assert (failed.code, failed.json["code"]) == (1, "render.write_failed")


def test_a_signal_reaches_the_worker(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    worker(home, monkeypatch, waits=True)
    command = [sys.executable, "-c", "from app.cli import main; main()", "rehearse", "--weights", "w"]
    process = subprocess.Popen([*command, "--video", "in.mp4", "--out", "tried"], env=os.environ)
    eventually((home / "tried/begun").exists, "the worker")
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 143
    assert (home / "tried/stopped").exists()
