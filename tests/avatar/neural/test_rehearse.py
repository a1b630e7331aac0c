"""`avatar rehearse` on small random networks: what it measures, and what it says of what it could not."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from avatar.cli.main import main

torch = pytest.importorskip("torch", reason="needs PyTorch: scripts/torch_environment, then `make test`")
# Takes a minute on two cores that nobody else uses: the limit ends what hangs, not what is slow.
pytestmark = [pytest.mark.torch, pytest.mark.usefixtures("small_networks"), pytest.mark.timeout(900)]

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "face"))
AGREED = {"id": "c1", "person": "A. Person", "granted_at": "2026-01-31", "purpose": "tests"}
Rehearse = Callable[..., tuple[int, dict[str, Any], dict[str, Any]]]


@pytest.fixture
def rehearse(
    checkpoints: Path,
    clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Rehearse:
    """Calls it; its status, its last line and the record of the verdict."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.delenv("AVATAR_INSIGHTFACE", raising=False)

    def run(*options: str, video: Path = clip, weights: Path = checkpoints) -> Any:
        video.with_name(f"{video.name}.consent.json").write_text(json.dumps(AGREED))
        words = ["rehearse", "--weights", str(weights), "--video", str(video), "--out", str(tmp_path / "out")]
        status = main([*words, f"--cache={tmp_path / 'cache'}", "--json", *options])
        line = json.loads(capsys.readouterr().out.splitlines()[-1])
        return status, line, read_verdict(tmp_path / "out")

    return run


def read_verdict(folder: Path) -> dict[str, Any]:
    verdict: dict[str, Any] = json.loads((folder / "verdict.json").read_text())
    page = (folder / "verdict.html").read_text()
    assert "<!doctype html>" in page and not re.search(r"(src|href)=.http|@import", page), "self-contained"
    for one in verdict["figures"]:
        assert one["measure"] in page
        assert (one["value"] is None) == (one["verdict"] == "not measured")
        assert one["meaning"] and (one["value"] is not None or one["why"])
    return verdict


def figures(verdict: dict[str, Any], step: str) -> dict[str, dict[str, Any]]:
    return {one["measure"]: one for one in verdict["figures"] if one["step"] == step}


def test_a_dry_run_makes_both_videos_and_judges_them(rehearse: Rehearse, tmp_path: Path) -> None:
    status, line, verdict = rehearse("--cpu", "--say", "Mama.")
    for step, video in (("lip sync", "lip-sync.mp4"), ("chain", "chain.mp4")):
        assert verdict["videos"][step] == video and (tmp_path / "out" / video).stat().st_size > 1000
        found = figures(verdict, step)
        assert found["frames per second"]["value"] > 0
        assert found["VRAM peak"]["why"] == "no card was used"
        assert "InsightFace is off" in found["identity"]["why"]
    assert figures(verdict, "lip sync")["sync: lag"]["value"] is not None
    assert verdict["machine"]["torch"] == torch.__version__ and "latentsync.unet" in verdict["weights"]
    # Random networks may draw a mouth that misses its limits, or none that is found.
    missed = [one for one in verdict["figures"] if one["verdict"] == "missed"]
    assert (status, line.get("code")) == ((1, "rehearse.missed") if missed else (0, None))
    assert verdict["state"] == ("missed" if missed else "incomplete")


def test_the_footage_itself_is_the_same_person_and_says_nothing(
    rehearse: Rehearse, clip: Path, tmp_path: Path, checkpoints: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the place of both results: who is seen is measured, and so is what a card gave."""
    import numpy as np
    from avatar.engines.neural.holder import ModelHolder
    from avatar.pipeline import rehearse as pipeline
    from avatar.spec import EngineUse, Finished
    from insightface_double import face, install

    def copy_footage(spec: Any, target: Path, context: Any) -> Finished:
        shutil.copy(clip, target)
        use = EngineUse(scene="rehearsal", engine="latentsync", asked="latentsync", mode="low")
        return Finished(files=(), duration_ms=1000, frames=25, engines=(use,))

    person = face()
    person.normed_embedding = np.eye(512, dtype=np.float32)[7]
    install(monkeypatch)["faces"] = [person]
    weights = tmp_path / "weights"
    shutil.copytree(checkpoints, weights)
    (weights / "insightface/models/buffalo_l").mkdir(parents=True)
    for name in ("det_10g.onnx", "w600k_r50.onnx"):
        (weights / "insightface/models/buffalo_l" / name).write_bytes(b"x")
    monkeypatch.setattr(pipeline, "render_video", copy_footage)
    monkeypatch.setattr(ModelHolder, "peak_mib", 3500)

    def run() -> tuple[int, dict[str, Any], dict[str, Any]]:
        monkeypatch.setenv("AVATAR_INSIGHTFACE", "non-commercial")
        return rehearse("--cpu", weights=weights)

    status, line, verdict = run()
    assert (status, line["code"], verdict["state"]) == (1, "rehearse.missed", "missed")
    for step in ("lip sync", "chain"):
        found = figures(verdict, step)
        assert (found["identity"]["value"], found["identity"]["verdict"]) == (1.0, "passed")
        assert (found["VRAM peak"]["threshold"], found["VRAM peak"]["verdict"]) == ("≤ 3400", "missed")
        assert found["sync: correlation"]["verdict"] == "missed", "the lips say something else"

    monkeypatch.setattr(pipeline, "_mouth_figures", lambda name, *_: (pipeline.LAG.judge(name, 60.0),))
    monkeypatch.setattr(ModelHolder, "peak_mib", 3400)
    status, line, verdict = run()
    assert (status, line["event"], verdict["state"]) == (0, "result", "incomplete")
    assert [file["role"] for file in line["files"]] == ["page", "verdict"]
    assert {one["code"] for one in line["warnings"]} == {"rehearse.not_measured"}


def test_without_a_card_it_says_what_is_missing(rehearse: Rehearse) -> None:
    status, line, verdict = rehearse()
    assert (status, line["code"]) == (1, "rehearse.no_card") and "--cpu" in line["hint"]
    assert verdict["error"]["code"] == "rehearse.no_card" and verdict["state"] == "incomplete"
    assert all(line["message"] == one["why"] for one in verdict["figures"])


def test_a_folder_without_liveportrait_measures_what_latentsync_does(
    rehearse: Rehearse, checkpoints: Path, tmp_path: Path
) -> None:
    part = tmp_path / "part"
    part.mkdir()
    (part / "latentsync").symlink_to(checkpoints / "latentsync")
    status, line, verdict = rehearse("--cpu", "--say", "Mama.", weights=part)
    assert (status, line["code"]) == (1, "weights.missing") and "liveportrait" in line["message"]
    assert figures(verdict, "lip sync")["frames per second"]["value"] > 0
    assert all(one["why"] == line["message"] for one in figures(verdict, "chain").values())


def test_a_video_without_a_face_and_a_broken_one_are_told_in_each_step(
    rehearse: Rehearse, tmp_path: Path
) -> None:
    import av
    import numpy as np

    empty, broken = tmp_path / "wall.mp4", tmp_path / "broken.mp4"
    with av.open(str(empty), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        for _ in range(25):
            picture = av.VideoFrame.from_ndarray(np.full((180, 320, 3), 90, np.uint8), format="bgr24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    broken.write_bytes(empty.read_bytes()[:200])
    for video, code in ((empty, "face.not_found"), (broken, "video.unreadable")):
        status, line, verdict = rehearse("--cpu", "--say", "Mama.", video=video)
        assert (status, line["code"]) == (1, code), line
        assert all(one["verdict"] == "not measured" for one in verdict["figures"])


def test_time_that_ends_leaves_the_rest_unmeasured(rehearse: Rehearse) -> None:
    status, line, verdict = rehearse("--cpu", "--within", "0")
    assert (status, line["code"]) == (1, "rehearse.time_over")
    assert {one["why"] for one in verdict["figures"]} == {line["message"]}


def test_a_signal_in_the_midst_of_a_step_keeps_the_verdict(
    checkpoints: Path, clip: Path, tmp_path: Path
) -> None:
    clip.with_name(f"{clip.name}.consent.json").write_text(json.dumps(AGREED))
    out = tmp_path / "out"
    words = ["rehearse", "--weights", checkpoints, "--video", clip, "--out", out, "--cpu"]
    command = [sys.executable, HERE / "small_checkpoints.py", *words, "--cache", tmp_path / "cache", "--json"]
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True, env=os.environ)
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line).get("stage") == "frames":
            break
    time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGTERM
    assert json.loads(output.splitlines()[-1])["code"] == "render.cancelled"
    verdict = read_verdict(out)
    assert "stopped on request" in figures(verdict, "lip sync")["flicker"]["why"]
    assert figures(verdict, "chain")["flicker"]["why"] == "the step was not begun"
    assert not list(out.glob("*.mp4")) and not list(out.glob("*.part"))
