"""`avatar render --text`: a sentence in, a video out, without a file between them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from avatar.cli.arguments import build_parser
from avatar.cli.from_text import asks_for_text, spec_of_render
from avatar.cli.presenters import PRESENTERS
from avatar.errors import InvalidInput
from avatar.spec import RenderSpec

PERSONAS = Path(__file__).parents[3] / "personas"


def spec(*argv: str) -> RenderSpec:
    assert asks_for_text(["render", *argv])
    return spec_of_render(build_parser(from_text=True).parse_args(["render", *argv]))


def test_a_text_becomes_a_spec_of_one_scene() -> None:
    result = spec("--text", "Hello *there*.\nSecond line.", "out.mp4")
    assert (result.title, result.scenes[0].script) == (
        "Hello *there*. Second line.",
        "Hello *there*.\nSecond line.",
    )
    assert result.scenes[0].face.character == "nova"


def test_every_persona_that_is_shipped_is_a_presenter_of_the_worker() -> None:
    assert sorted(PRESENTERS) == sorted(file.stem for file in PERSONAS.glob("*.yaml"))


@pytest.mark.parametrize("name", PRESENTERS)
def test_a_presenter_speaks_as_in_the_files_of_personas(name: str) -> None:
    scene = spec("out.mp4", "--text=Hello.", "--persona", name).scenes[0]
    text = (PERSONAS / f"{name}.yaml").read_text()
    fields = dict(re.findall(r"^ +(\w+): ([\w.-]+)$", text, re.MULTILINE))
    design = scene.face.design
    assert fields.get("character", "nova") == scene.face.character and scene.language == fields["language"]
    assert (design is None) == ("character" in fields)
    assert fields.get("mood", "neutral") == scene.mood
    if design is not None:
        drawn = text.partition("\n  design:")[2].partition("\nvoice:")[0]
        written = dict(re.findall(r"^ +(\w+): '?([\w.#-]+)'?$", drawn, re.MULTILINE))
        assert {field: str(getattr(design, field)).lower() for field in written} == written
    voice = text.partition("\nvoice:")[2].partition("\nstyle:")[0]
    own, _, otherwise = voice.partition("otherwise:")
    for part, spoken_by in ((own, scene.voice), (otherwise, scene.voice.otherwise)):
        written = dict(re.findall(r"^ +(\w+): ([\w.-]+)$", part, re.MULTILINE))
        assert "voice" in written
        assert {field: str(getattr(spoken_by, field)) for field in written} == written
    for field in ("manner", "head", "nods"):
        assert field not in fields or str(getattr(scene.movement, field)) == fields[field]


@pytest.mark.parametrize("text", ["", "  \n "])
def test_a_text_without_a_word_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        spec("--text", text, "out.mp4")
    assert caught.value.code == "spec.invalid"


@pytest.mark.parametrize("argv", [["spec.json", "out.mp4"], ["spec.json", "--json", "out.mp4"]])
def test_without_a_text_a_spec_is_named_as_before(argv: list[str]) -> None:
    assert not asks_for_text(["render", *argv])
    arguments = build_parser().parse_args(["render", *argv])
    assert (arguments.spec, arguments.out) == (Path("spec.json"), Path("out.mp4"))


@pytest.mark.smoke
def test_the_program_makes_the_video(avatar: Any, tmp_path: Path) -> None:
    ended = avatar("render", "--text", "Hi.", tmp_path / "hi.mp4")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert (tmp_path / "hi.mp4").stat().st_size > 10_000 and (tmp_path / "hi.vtt").is_file()
