"""From requests to specs: scripts become scenes, personas faces and voices, progress numbers."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from avatar.spec import EngineUse, Finished, FrameProgress, Movement, Notice, RenderSpec, StageStarted

from farm.states import TaskState
from farm.tasks import TaskEvent
from studio.personas.library import PersonaLibrary
from studio.projects.schemas import Look
from studio.renders.progress import ProgressBoard
from studio.renders.schemas import RenderRequest
from studio.renders.specs import spec_of_project, spec_of_script, split_script, title_of
from studio.scenes.schemas import SceneBody
from studio.slugs import slug_of

PERSONA = """\
id: ada
name: Ada
voice: {kind: espeak, voice: en-gb}
style:
  language: en-gb
  mood: serious
  background: {kind: colour, colour: "#102030"}
  pronunciation: {Babbage: "bab-idge"}
  movement: {manner: calm, nods: 0}
"""


@pytest.fixture
def library(tmp_path: Path) -> PersonaLibrary:
    (tmp_path / "ada.yaml").write_text(PERSONA)
    return PersonaLibrary(tmp_path, tmp_path / "own")


def test_what_a_request_leaves_open_is_the_personas(library: PersonaLibrary) -> None:
    spec = spec_of_script(RenderRequest(script="Hello.", persona="ada"), library)
    scene = spec.scenes[0]
    assert (scene.language, scene.background.kind, scene.voice.kind) == ("en-gb", "colour", "espeak")
    assert scene.pronunciation == {"Babbage": "bab-idge"} and spec.title == "Hello"
    requests = RenderRequest(
        script="Hi", persona="ada", language="de", captions="both", rate_wpm=100, title="T"
    )
    other = spec_of_script(requests, library)
    assert (other.scenes[0].language, other.title, other.output.captions.mode) == ("de", "T", "both")
    assert getattr(other.scenes[0].voice, "rate_wpm", None) == 100


def test_a_wished_length_is_shared_among_the_scenes_by_what_they_say(library: PersonaLibrary) -> None:
    script = "One short scene here. " * 160 + "\n\n" + "Another scene. " * 120
    requests = RenderRequest(script=script, persona="ada", duration_s=61.2345)
    spec = spec_of_script(requests, library)
    shares = [scene.duration_ms or 0 for scene in spec.scenes]
    assert len(shares) > 1 and sum(shares) == 61_234
    words = [len((scene.script or "").split()) for scene in spec.scenes]
    pace = [count / share for count, share in zip(words, shares, strict=True)]
    assert max(pace) < 1.3 * min(pace)
    plain = spec_of_script(RenderRequest(script=script, persona="ada"), library)
    assert {scene.duration_ms for scene in plain.scenes} == {None}


def test_how_lively_a_persona_is_reaches_each_of_its_scenes(library: PersonaLibrary) -> None:
    spec = spec_of_script(RenderRequest(script="Hello. " * 1000, persona="ada"), library)
    assert len(spec.scenes) > 1
    assert {scene.movement for scene in spec.scenes} == {Movement(manner="calm", nods=0.0)}
    calm = spec.model_dump(mode="json")
    calm["scenes"][0]["movement"]["manner"] = "lively"
    assert RenderSpec.model_validate(calm).scene_hash("scene-1") != spec.scene_hash("scene-1")


def test_a_scene_may_have_another_persona_than_its_project(library: PersonaLibrary, tmp_path: Path) -> None:
    (tmp_path / "bob.yaml").write_text("id: bob\nname: Bob\nvoice: {kind: espeak, voice: de}\n")
    scenes = [
        ("one", "", SceneBody(script="a")),
        ("two", "", SceneBody(script="b", persona="bob", pronunciation={"x": "y"})),
    ]
    spec = spec_of_project(
        "P", Look(persona="ada", seed=7, pronunciation={"A": "ay", "x": "z"}), scenes, library
    )
    assert [getattr(scene.voice, "voice", "") for scene in spec.scenes] == ["en-gb", "de"]
    assert spec.scenes[1].pronunciation == {"x": "y"} and spec.seed == 7
    assert spec.scene("one").pronunciation == {"A": "ay", "Babbage": "bab-idge"}
    assert spec.scene("two").pronunciation == {"x": "y"}


def test_a_short_script_stays_whole_and_an_empty_one_is_nothing() -> None:
    assert split_script("  One. Two.\n\nThree. ") == ["One. Two.\n\nThree."]
    assert split_script(" \n ") == []


@pytest.mark.parametrize(
    "script",
    [
        "This is a sentence. " * 400,
        "Paragraph one has words.\n\n" * 300,
        "word " * 2000,
        "x" * 10_000,
        "これは文です。" * 1000,
        "هل هذا سؤال؟ نعم. " * 600,
        "He said “Stop!” and went. " * 300,
    ],
)
def test_a_long_script_is_cut_without_losing_a_letter(script: str) -> None:
    parts = split_script(script, 1000)
    assert all(0 < len(part) <= 1000 for part in parts)
    assert "".join("".join(parts).split()) == "".join(script.split())


def test_cuts_are_made_behind_sentences_where_there_are_any() -> None:
    parts = split_script("This is a sentence. " * 100, 500)
    assert all(part.endswith(".") for part in parts)
    quoted = split_script("He said “Stop!” and went. " * 30, 100)
    assert all(part.startswith("He said") or part.startswith("and") for part in quoted)


def test_titles_and_slugs_are_short_and_plain() -> None:
    assert title_of("Hello there!") == "Hello there"
    long = title_of("one two three " * 20)
    assert len(long) <= 60 and long.endswith(("one…", "two…", "three…"))
    assert slug_of("Café Über — Straße!") == "cafe-ueber-strasse"
    assert slug_of("Süßes A\u0308pfelchen Łódź") == "suesses-aepfelchen-lodz"
    assert slug_of("日本語", "video") == "video" and slug_of("../../x; rm -rf /") == "x-rm-rf"


def event(line: Any = None, result: Finished | None = None) -> TaskEvent:
    return TaskEvent("t", 1, TaskState.RUNNING, datetime.now(UTC), line, result)


def test_progress_of_scenes_adds_up_and_the_guess_gives_way_to_the_truth() -> None:
    scenes = [{"id": one, "script": "x" * 140} for one in ("a", "b")]
    board = ProgressBoard.for_spec(RenderSpec.model_validate({"scenes": scenes}))
    guessed = board.snapshot()
    assert (guessed.frames_total, guessed.eta_s, guessed.stage) == (2 * 270, None, "queued")
    board.hear("a", event(StageStarted(stage="frames", total_frames=200)))
    board.hear("a", event(FrameProgress(done_frames=50, total_frames=200, fps=25, eta_s=6)))
    now = board.snapshot()
    assert (now.frames_done, now.frames_total, now.fps) == (50, 470, 25.0)
    assert now.eta_s == pytest.approx((470 - 50) / 25) and now.stage == "frames"
    board.hear("a", event(result=Finished(files=(), duration_ms=1, frames=210)))
    # Made for a scene of another video, which called it otherwise.
    use = EngineUse(scene="intro", engine="latentsync", asked="auto", mode="middle")
    board.finish("b", Finished(files=(), duration_ms=1, frames=100, engines=(use,)))
    done = board.snapshot()
    assert (done.frames_done, done.frames_total, done.scenes_done, done.fps) == (310, 310, 2, 0.0)
    assert board.complete().stage == "done" and board.complete().engines == [
        use.model_copy(update={"scene": "b"})
    ]


def test_a_notice_is_told_once() -> None:
    board = ProgressBoard.for_spec(RenderSpec.model_validate({"scenes": [{"id": "a", "script": "x"}]}))
    notice = Notice(code="c", message="m")
    board.hear("a", event(notice))
    fresh = board.fresh_notices
    assert [one.scene for one in fresh] == ["a"] == [one.scene for one in board.fresh_notices]
    board.mark_reported(fresh)
    board.hear("a", event(notice))
    assert board.fresh_notices == []


@pytest.mark.parametrize(
    ("script", "title"),
    [
        ("Hello [pause 500ms] *big* world.", "Hello big world"),
        (
            '<speak>Hi <break time="1s"/>you &amp; <emphasis level="strong">me</emphasis>.</speak>',
            "Hi you & me",
        ),
        ("Wait [pause 1s]. **Go**", "Wait. Go"),
        (r"\*kept\* \[x]", "*kept* [x]"),
        ("a < b and 3*4*5", "a < b and 3*4*5"),
        ("<!--" * 20_000, "<!--" * 14 + "<!-…"),
    ],
)
def test_marks_of_a_script_are_not_in_its_title(script: str, title: str) -> None:
    assert title_of(script) == title


def test_camera_transition_sounds_and_length_of_a_scene_reach_the_spec(library: PersonaLibrary) -> None:
    card = SceneBody.model_validate(
        {"duration_ms": 3000, "layout": {"visible": False}, "camera": {"push_in": 0.06}}
    )
    spoken = SceneBody.model_validate(
        {
            "script": "Hello.",
            "camera": {"framing": "side_left"},
            "transition": {"kind": "dissolve", "duration_ms": 800},
            "sounds": [{"audio": {"sha256": "sha256:" + "a" * 64}}],
        }
    )
    scenes = spec_of_project("P", Look(persona="ada"), [("s1", "", card), ("s2", "", spoken)], library).scenes
    assert (scenes[0].silent, scenes[0].duration_ms, scenes[0].camera.push_in) == (True, 3000, 0.06)
    assert (scenes[1].camera.framing, scenes[1].transition.kind) == ("side_left", "dissolve")
    assert len(scenes[1].sounds) == 1


def test_the_mood_of_a_scene_goes_before_the_personas(library: PersonaLibrary) -> None:
    scenes = [("a", "", SceneBody(script="Hi.", mood="sad")), ("b", "", SceneBody(script="Hi."))]
    assert [scene.mood for scene in spec_of_project("P", Look(persona="ada"), scenes, library).scenes] == [
        "sad",
        "serious",
    ]


@pytest.mark.parametrize(
    ("script", "language"),
    [
        ("Welcome to the lab.", "en-gb"),
        ("Guten Abend. Der Zug fährt um acht.", "de"),
        ("Bonjour à tous, bienvenue au musée.", "fr"),
        ("Willkommen", "en-gb"),
        ("San Francisco", "en-gb"),
        ("Herr Schmidt will see you now.", "en-gb"),
        ("Milo", "en-gb"),
    ],
)
def test_a_script_that_is_surely_in_another_language_is_read_in_it(
    library: PersonaLibrary, script: str, language: str
) -> None:
    [scene] = spec_of_script(RenderRequest(script=script, persona="ada"), library).scenes
    assert scene.language == language


def test_a_language_that_is_named_holds(library: PersonaLibrary) -> None:
    script = "Guten Abend. Der Zug fährt um acht."
    [scene] = spec_of_script(RenderRequest(script=script, persona="ada", language="nl"), library).scenes
    assert scene.language == "nl"


def test_a_voice_of_one_language_reads_all_in_it(tmp_path: Path) -> None:
    piper = PERSONA.replace("{kind: espeak, voice: en-gb}", "{kind: piper, voice: amy}")
    (tmp_path / "ada.yaml").write_text(piper)
    library = PersonaLibrary(tmp_path, tmp_path / "own")
    script = "Guten Abend. Der Zug fährt um acht."
    [scene] = spec_of_script(RenderRequest(script=script, persona="ada"), library).scenes
    assert scene.language == "en-gb"
