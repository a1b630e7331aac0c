"""`avatar lipsync --video` and `avatar reenact`: refusals before any network is loaded."""

from __future__ import annotations

import json
import wave
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from avatar.cli.main import main

Refused = Callable[..., dict[str, str]]


@pytest.fixture
def refuse(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Refused:
    """The line that a verb ends with."""

    def run(verb: str, **options: object) -> dict[str, str]:
        named = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
        assert main([verb, *named, f"--cache={tmp_path / 'cache'}", "--json"]) == 1
        line: dict[str, str] = json.loads(capsys.readouterr().out.splitlines()[-1])
        return line

    return run


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "face.png"
    cv2.imwrite(str(path), np.full((96, 96, 3), 90, np.uint8))
    return path


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "in.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 25, (96, 96))
    for shade in range(5):
        writer.write(np.full((96, 96, 3), 40 * shade, np.uint8))
    writer.release()
    return path


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    path = tmp_path / "speech.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(bytes(6400))
    return path


def test_a_consent_that_is_missing_is_told_as_each_verb_takes_it(
    refuse: Refused, photo: Path, film: Path, sound: Path, tmp_path: Path
) -> None:
    """A face's `consent`, of which renders speak, is a word of specs: nobody has one here."""
    for input_file, line in (
        (film, refuse("lipsync", video=film, audio=sound, out=tmp_path / "out.mp4")),
        (photo, refuse("reenact", source=photo, driving=film)),
    ):
        assert line["code"] == "consent.required"
        assert f"{input_file}.consent.json" in line["hint"] and "--consent" in line["hint"]
        assert '"granted_at"' in line["hint"], "what the record holds"
        assert "face's" not in line["hint"]


@pytest.mark.parametrize(
    ("existing", "code"),
    [
        ("motion.pkl", "template.bad_name"),
        ("motion", "template.bad_name"),
        ("folder.npz", "output.is_folder"),
        ("nowhere/motion.npz", "render.write_failed"),
        ("in.mp4/motion.npz", "render.write_failed"),
    ],
)
def test_a_place_that_can_hold_no_template_is_refused_at_once(
    refuse: Refused, photo: Path, film: Path, tmp_path: Path, existing: str, code: str
) -> None:
    """Before the driving video is analysed, and before anybody is asked for a consent or for weights."""
    (tmp_path / "folder.npz").mkdir()
    line = refuse("reenact", source=photo, driving=film, save_template=tmp_path / existing)
    assert line["code"] == code and line["hint"]
    assert Path(existing).name in line["message"]


@pytest.mark.parametrize("existing", ["motion.npz", "motion.JSON", "made/for/it/motion.json"])
def test_a_good_place_for_a_template_stays_empty_until_there_is_one(
    refuse: Refused, photo: Path, film: Path, tmp_path: Path, existing: str
) -> None:
    target = tmp_path / "made" / "for" / "it" / "out.mp4"
    line = refuse("reenact", source=photo, driving=film, save_template=tmp_path / existing, out=target)
    assert line["code"] == "consent.required", "the next that is asked for"
    assert sorted(tmp_path.iterdir()) == [photo, film]


@pytest.mark.parametrize("moves", ["a text", "smile.png", "motion.npz"])
def test_a_template_is_kept_of_driving_videos_alone_and_that_is_said(
    refuse: Refused, photo: Path, tmp_path: Path, moves: str
) -> None:
    """It used to be left out without a word."""
    (tmp_path / "smile.png").write_bytes(photo.read_bytes())
    (tmp_path / "motion.npz").write_bytes(b"x")
    driven = {"say": "Mama."} if moves == "a text" else {"driving": tmp_path / moves}
    line = refuse("reenact", source=photo, save_template=tmp_path / "kept.npz", **driven)
    assert line["code"] == "template.no_film" and moves in line["message"]
    assert "--save-template" in line["hint"] and "--driving" in line["hint"]


@pytest.mark.parametrize(
    "existing", ["out.provenance.json", "made/../out.provenance.json", "link/out.provenance.json"]
)
def test_a_template_is_kept_apart_from_what_is_made_beside_the_result(
    refuse: Refused, photo: Path, film: Path, tmp_path: Path, existing: str
) -> None:
    """The provenance file, written last, would have taken its place."""
    (tmp_path / "made").mkdir()
    (tmp_path / "link").symlink_to(tmp_path)
    line = refuse(
        "reenact", source=photo, driving=film, out=tmp_path / "out.mp4", save_template=tmp_path / existing
    )
    assert line["code"] == "output.same_file" and "--save-template" not in line["message"]
    assert "out.provenance.json" in line["message"] and "another name" in line["hint"]


def test_the_template_of_a_result_without_a_name_is_kept_apart_from_it(
    refuse: Refused, photo: Path, film: Path
) -> None:
    beside = photo.with_name("face.reenacted.provenance.json")
    line = refuse("reenact", source=photo, driving=film, save_template=beside)
    assert line["code"] == "output.same_file"


@pytest.mark.parametrize("verb", ["lipsync", "reenact"])
@pytest.mark.parametrize("way", ["itself", "through a folder", "a link to it", "it is a link"])
def test_a_person_s_own_video_is_not_written_over(
    refuse: Refused, film: Path, sound: Path, tmp_path: Path, verb: str, way: str
) -> None:
    out, input_file, before = film, film, film.read_bytes()
    if way == "through a folder":
        (tmp_path / "sub").mkdir()
        out = tmp_path / "sub" / ".." / film.name
    elif way == "a link to it":
        out = tmp_path / "out.mp4"
        out.symlink_to(film)
    elif way == "it is a link":
        input_file = tmp_path / "link.mp4"
        input_file.symlink_to(film.name)
    named = (
        {"video": input_file, "audio": sound} if verb == "lipsync" else {"source": input_file, "say": "Mama."}
    )
    line = refuse(verb, out=out, **named)
    assert line["code"] == "output.overwrites_input" and input_file.name in line["message"]
    assert film.read_bytes() == before


@pytest.mark.parametrize("option", ["consent", "transcript", "beside"])
def test_records_and_texts_are_not_written_over_either(
    refuse: Refused, film: Path, sound: Path, tmp_path: Path, option: str
) -> None:
    """`who.provenance.json` is a name that a record may have."""
    named: dict[str, object] = {"video": film, "audio": sound, "out": tmp_path / "who.mp4"}
    if option == "beside":
        record = tmp_path / "in.mp4.consent.json"
        named = {"source": film, "driving": film, "save_template": record}
    else:
        record = tmp_path / "who.provenance.json"
        named[option] = record
    record.write_text("{}")
    line = refuse("reenact" if option == "beside" else "lipsync", **named)
    assert line["code"] == "output.overwrites_input" and record.name in line["message"]
    assert record.read_text() == "{}"


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"face_index": -1}, "face_index"),
        ({"start_ms": -5}, "start_ms"),
        ({"end_ms": 0}, "end_ms"),
        ({"transcript": 250_000}, "transcript"),
    ],
)
def test_a_value_that_no_face_has_is_named_and_no_defect(
    refuse: Refused, film: Path, sound: Path, tmp_path: Path, options: dict[str, int], named: str
) -> None:
    if long := options.get("transcript"):
        (tmp_path / "words.txt").write_text("a" * long)
    input_file = {
        name: tmp_path / "words.txt" if name == "transcript" else value for name, value in options.items()
    }
    line = refuse("lipsync", video=film, audio=sound, out=tmp_path / "out.mp4", **input_file)
    assert line["code"] == "spec.invalid"
    assert named in line["message"]


def test_reenactment_refuses_such_values_too(refuse: Refused, photo: Path, tmp_path: Path) -> None:
    line = refuse("reenact", source=photo, say="Hello.", face_index=-1, out=tmp_path / "out.mp4")
    assert line["code"] == "spec.invalid"
    line = refuse("reenact", source=photo, say="a" * 250_000, out=tmp_path / "out.mp4")
    assert line["code"] == "spec.invalid"


def test_a_text_for_a_video_is_told_where_it_can_be_had(refuse: Refused, film: Path, tmp_path: Path) -> None:
    line = refuse("reenact", source=film, say="Hello.", out=tmp_path / "out.mp4")
    assert line["code"] == "reenact.text_for_video"
    assert "soundstage render" in line["hint"]
