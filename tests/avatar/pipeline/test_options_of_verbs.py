"""Every option of `avatar lipsync` and `avatar reenact` reaches what it is for."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from avatar.cli.arguments import build_parser
from avatar.cli.lipsyncing import lipsync
from avatar.cli.reenacting import reenact
from avatar.pipeline.lipsync import latentsync
from avatar.pipeline.lipsync.latentsync import MouthOptions
from avatar.pipeline.reenact import video as reenacting
from avatar.pipeline.reenact.job import ReenactOptions

LIPSYNC = "--vram low --steps 20 --guidance 1.5"
"""As operators have it in their notes; the next line says every option another way than the defaults."""
ALL_OF_LIPSYNC = (
    "--vram low --precision fp16 --steps 8 --guidance 2.5 --reuse 2 --side 256 --compile --tail silence "
    "--fresh --models weights --start-ms 1200 --end-ms 5000 --fit loop --face-index 1 --pauses drawn"
)
ALL_OF_REENACT = (
    "--region lip --absolute --no-shut-lips --retarget-eyes --retarget-lips --no-stitching --strength 0.5 "
    "--precision fp32 --compile --fresh --models weights --face-index 2"
)


@pytest.fixture
def verb_calls(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Records the arguments of the pipelines, which do nothing."""
    calls: list[Any] = []
    monkeypatch.setattr(latentsync, "lipsync_by_networks", lambda *arguments: calls.append(arguments))
    monkeypatch.setattr(reenacting, "reenact", lambda *arguments: calls.append(arguments))
    return calls


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """A name, and who agreed; nobody looks into the file before the pipeline does."""
    consent = {"id": "con_1", "person": "Ada", "granted_at": "2026-01-05T00:00:00Z", "purpose": "films"}
    (tmp_path / "in.mp4.consent.json").write_text(json.dumps(consent))
    return tmp_path / "in.mp4"


def parse_options(verb: str, film: Path, options: str) -> Any:
    files = {
        "lipsync": ["--video", str(film), "--audio", "speech.wav", "--out", "out.mp4"],
        "reenact": ["--source", str(film), "--driving", "drive.mp4", "--out", "out.mp4"],
    }
    return build_parser().parse_args([verb, *files[verb], *options.split()])


def test_the_line_of_the_operators_is_understood(verb_calls: list[Any], film: Path) -> None:
    lipsync(parse_options("lipsync", film, LIPSYNC), context := object())  # type: ignore[arg-type]
    [(spec, target, arguments, options)] = verb_calls
    assert (target, arguments) == (Path("out.mp4"), context)
    assert options == MouthOptions(vram="low", steps=20, guidance=1.5)
    assert spec.face.consent.person == "Ada" and spec.audio.name == "speech.wav"


def test_all_options_of_lipsync_reach_the_networks_and_the_face(verb_calls: list[Any], film: Path) -> None:
    lipsync(parse_options("lipsync", film, ALL_OF_LIPSYNC), object())  # type: ignore[arg-type]
    [(spec, _, _, options)] = verb_calls
    assert options == MouthOptions(
        vram="low", precision="fp16", steps=8, guidance=2.5, reuse=2, side_px=256, compile=True,
        tail="silence", fresh=True, models=Path("weights"),
    )  # fmt: skip
    assert not same_as_default(options, MouthOptions()), "each is said another way than its default"
    face = spec.face
    assert (face.start_ms, face.end_ms, face.fit, face.face_index) == (1200, 5000, "loop", 1)
    assert face.pauses == "drawn"


def test_all_options_of_reenact_reach_the_networks(verb_calls: list[Any], film: Path) -> None:
    reenact(parse_options("reenact", film, ALL_OF_REENACT), object())  # type: ignore[arg-type]
    [(job, target, _)] = verb_calls
    assert target == Path("out.mp4") and job.driving == Path("drive.mp4")
    assert job.options == ReenactOptions(
        region="lip", relative=False, shut_lips=False, eyes=True, lips=True, stitching=False, strength=0.5,
        precision="fp32", compile=True, fresh=True, models=Path("weights"), face_index=2,
    )  # fmt: skip
    assert not same_as_default(job.options, ReenactOptions())


def same_as_default(options: Any, default: Any) -> list[str]:
    return [name for name, value in asdict(options).items() if value == getattr(default, name)]
