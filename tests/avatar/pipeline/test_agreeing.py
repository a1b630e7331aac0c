"""`avatar lipsync --video` and `avatar reenact`: who agreed is said once, and recorded beside the file."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from avatar.cli.main import main
from avatar.pipeline.consent import require_face_consent
from avatar.pipeline.lipsync import latentsync
from avatar.pipeline.reenact import video as reenacting
from avatar.spec import Finished
from avatar.spec.consent_file import EXAMPLE

RunVerb = Callable[..., tuple[int, dict[str, str]]]
ADA = ("--person", "Ada Example", "--purpose", "course videos")


@pytest.fixture
def verb_calls(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The consents with which the pipelines are called, behind the question that both ask."""
    found: list[Any] = []

    def lipsync(spec: Any, *_: Any) -> Any:
        require_face_consent(spec.face)
        found.append(spec.face.consent)
        return _done()

    def reenact(job: Any, *_: Any) -> Any:
        require_face_consent(reenacting.scene_of(job, photo=False).face)
        found.append(job.consent)
        return _done()

    monkeypatch.setattr(latentsync, "lipsync_by_networks", lipsync)
    monkeypatch.setattr(reenacting, "reenact", reenact)
    return found


def _done() -> Any:
    return Finished(files=(), duration_ms=0, frames=0)


@pytest.fixture(params=["lipsync", "reenact"])
def run_verb(
    request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> RunVerb:
    """The verb with more at its end, in the operator's folder: its status and the last line."""
    lines = {
        "lipsync": "--video in.mp4 --audio speech.wav --out out.mp4 --vram low --steps 20 --guidance 1.5",
        "reenact": "--source in.mp4 --driving drive.mp4",
    }
    monkeypatch.chdir(tmp_path)
    for name in ("in.mp4", "drive.mp4", "speech.wav"):
        Path(name).write_bytes(b"a film")

    def run(*more: str) -> tuple[int, dict[str, str]]:
        code = main([request.param, *lines[request.param].split(), *more, "--cache", "cache", "--json"])
        return code, json.loads(capsys.readouterr().out.splitlines()[-1])

    return run


@pytest.fixture
def record(tmp_path: Path) -> Path:
    return tmp_path / "in.mp4.consent.json"


def test_who_gives_the_line_for_the_first_time_is_told_two_ways_that_both_work(
    run_verb: RunVerb, verb_calls: list[Any], record: Path
) -> None:
    code, line = run_verb()
    assert (code, line["code"]) == (1, "consent.required")
    assert record.name in line["hint"] and "--person" in line["hint"] and "--purpose" in line["hint"]
    assert verb_calls == [] and not record.exists()

    shown = re.search(r"\{.*\}", line["hint"])
    assert shown is not None
    record.write_text(shown[0])
    assert run_verb()[0] == 0
    record.unlink()
    assert run_verb(*ADA)[0] == 0
    assert [consent.person for consent in verb_calls] == ["Ada Example", "Ada Example"]


def test_what_is_said_at_the_prompt_is_recorded_beside_the_file_and_need_not_be_said_again(
    run_verb: RunVerb, verb_calls: list[Any], record: Path
) -> None:
    assert run_verb(*ADA)[0] == 0
    stored = json.loads(record.read_text())
    assert set(stored) == {"id", "person", "granted_at", "purpose"}
    assert (stored["person"], stored["purpose"]) == ("Ada Example", "course videos")
    assert datetime.now(UTC) - datetime.fromisoformat(stored["granted_at"]) < timedelta(minutes=10)
    before = record.read_bytes()
    assert run_verb()[0] == run_verb(*ADA)[0] == 0
    assert {consent.id for consent in verb_calls} == {stored["id"]} and len(verb_calls) == 3
    assert record.read_bytes() == before
    assert not [path for path in record.parent.iterdir() if path.name.endswith(".part")]


@pytest.mark.parametrize(
    "more", [("--person", "Eve", "--purpose", "course videos"), (*ADA[:3], "advertising")]
)
def test_a_record_of_somebody_else_or_of_another_purpose_is_never_written_over(
    run_verb: RunVerb, verb_calls: list[Any], record: Path, more: tuple[str, ...]
) -> None:
    run_verb(*ADA)
    before = record.read_bytes()
    code, line = run_verb(*more)
    assert (code, line["code"]) == (1, "consent.other_record")
    assert "Ada Example" in line["message"] and "course videos" in line["message"]
    assert record.read_bytes() == before and len(verb_calls) == 1


@pytest.mark.parametrize("links", [True, False], ids=["links", "a disk without links"])
def test_a_record_that_comes_at_the_same_moment_stays(
    run_verb: RunVerb, verb_calls: list[Any], record: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    link = os.link

    def meanwhile(part: Any, path: Any) -> None:
        record.write_text(EXAMPLE.replace("Ada", "Eve"))
        if not links:
            raise PermissionError("no links here")
        link(part, path)

    monkeypatch.setattr(os, "link", meanwhile)
    code, line = run_verb(*ADA)
    assert (code, line["code"]) == (1, "consent.other_record") and "Eve Example" in line["message"]
    assert json.loads(record.read_text())["person"] == "Eve Example" and verb_calls == []


def test_a_disk_without_links_keeps_a_record_too(
    run_verb: RunVerb, verb_calls: list[Any], record: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    assert run_verb(*ADA)[0] == 0
    assert json.loads(record.read_text())["person"] == "Ada Example"


@pytest.mark.parametrize(
    "more",
    [ADA[:2], ADA[2:], ("--person", " ", "--purpose", "films"), (*ADA, "--consent", "in.mp4")],
    ids=["no purpose", "nobody", "a blank", "a file as well"],
)
def test_half_of_a_consent_is_none(
    run_verb: RunVerb, verb_calls: list[Any], record: Path, more: tuple[str, ...]
) -> None:
    code, line = run_verb(*more)
    assert (code, line["code"]) == (1, "consent.incomplete")
    assert "--person" in line["hint"] and not record.exists() and verb_calls == []


def test_nothing_is_recorded_for_a_file_that_is_not_there(run_verb: RunVerb, record: Path) -> None:
    (record.parent / "in.mp4").unlink()
    code, line = run_verb(*ADA)
    assert (code, line["code"]) == (1, "media.missing")
    assert not record.exists()


def test_a_template_does_not_take_the_place_of_the_new_record(
    verb_calls: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in.mp4").write_bytes(b"a film")
    named = ["--source", "in.mp4", "--driving", "in.mp4", "--save-template", "in.mp4.consent.json"]
    assert main(["reenact", *named, *ADA, "--cache", "cache", "--json"]) == 1
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["code"] == "output.overwrites_input"
    assert json.loads(Path("in.mp4.consent.json").read_text())["person"] == "Ada Example" and verb_calls == []
