"""Bad input ends in one error that says what is wrong, and leaves no file behind."""

import json
import threading
from pathlib import Path

import pytest
from avatar.encode import assembly, segment_writer
from avatar.errors import InvalidInput
from avatar.pipeline import scene_renderer
from avatar.pipeline.assemble import assemble_folder
from avatar.pipeline.consent import require_consent
from avatar.pipeline.context import Context
from avatar.pipeline.read_spec import read_render_spec
from avatar.pipeline.reenact.job import ReenactJob
from avatar.pipeline.reenact.video import reenact
from avatar.pipeline.render import render_video
from avatar.pipeline.say import say_scene
from avatar.pipeline.segment import make_segment
from avatar.pipeline.still import make_still
from avatar.spec import MediaRef, RenderSpec, Scene
from sentences import SentenceSnapshot

CONSENT = {"id": "c1", "person": "A. Person", "granted_at": "2026-01-01", "purpose": "tests"}


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("", "spec.empty", ["empty"]),
        ("{not json", "spec.invalid", ["JSON"]),
        ('{"scenes": []}', "spec.invalid", ["scenes"]),
        ('{"scenes": [{"id": "a", "script": "x", "colour": "red"}]}', "spec.invalid", ["scenes[0].colour"]),
        ('{"scenes": [{"id": "a", "script": "  "}]}', "spec.invalid", ["script or an audio file"]),
        ("[", "spec.invalid", ["the whole file"]),
        (
            '{"canvas": {"width": 321}, "scenes": [{"id": "a b", "script": "x"}]}',
            "spec.invalid",
            ["canvas.width", "scenes[0].id"],
        ),
    ],
)
def test_a_bad_spec_names_its_bad_fields(tmp_path, text, code, words):
    (tmp_path / "spec.json").write_text(text)
    with pytest.raises(InvalidInput) as caught:
        read_render_spec(tmp_path / "spec.json")
    assert caught.value.code == code
    assert all(word in caught.value.message for word in words)


def test_a_spec_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InvalidInput, match="nowhere") as caught:
        read_render_spec(tmp_path / "nowhere.json")
    assert caught.value.code == "spec.missing"


@pytest.mark.parametrize(
    "scene",
    [
        {"face": {"kind": "photo", "image": {"path": "a.jpg"}}},
        {"face": {"kind": "video", "video": {"path": "a.mp4"}}},
        {"voice": {"kind": "qwen", "base_url": "http://x", "voice_id": "me"}},
        {"voice": {"kind": "openai", "base_url": "http://x", "cloned": True}},
    ],
)
def test_a_real_face_or_cloned_voice_needs_a_consent(scene):
    code_of = Scene.model_validate({"id": "a", "script": "x", **scene})
    with pytest.raises(InvalidInput) as caught:
        require_consent(code_of)
    assert caught.value.code == "consent.required"
    ((kind, value),) = scene.items()
    require_consent(Scene.model_validate({"id": "a", "script": "x", kind: {**value, "consent": CONSENT}}))


def test_a_plain_service_voice_and_a_hidden_face_need_no_consent():
    require_consent(
        Scene.model_validate({"id": "a", "script": "x", "voice": {"kind": "openai", "base_url": "http://x"}})
    )
    hidden = {"face": {"kind": "photo", "image": {"path": "a.jpg"}}, "layout": {"visible": False}}
    require_consent(Scene.model_validate({"id": "a", "script": "x", **hidden}))


@pytest.mark.parametrize(
    ("last", "film", "code"),
    [
        ({"face": {"kind": "photo", "image": {"path": "x.jpg"}}}, {}, "consent.required"),
        ({"face": {"kind": "rig", "character": "nobody"}}, {}, "face.unknown_character"),
        ({"background": {"kind": "image", "image": {"path": "/nowhere/b.png"}}}, {}, "media.missing"),
        ({}, {"music": {"audio": {"path": "/nowhere/m.mp3"}}}, "media.missing"),
    ],
)
def test_what_the_last_scene_lacks_is_found_before_any_is_made(tmp_path, small_spec, last, film, code):
    spec = RenderSpec.model_validate(small_spec({"id": "a"}, {"id": "b", **last}, **film))
    events: list[object] = []
    with pytest.raises(InvalidInput) as caught:
        render_video(spec, tmp_path / "out" / "o.mp4", Context(cache=tmp_path, tell=events.append))
    assert caught.value.code == code and events == []
    assert not (tmp_path / "out").exists()


def test_a_target_that_cannot_be_a_video_is_refused_before_any_work(tmp_path, small_spec):
    spec = RenderSpec.model_validate(small_spec({"id": "a"}))
    (tmp_path / "folder.mp4").mkdir()
    for name, code in (("film.webm", "output.not_mp4"), ("folder.mp4", "output.is_folder")):
        events: list[object] = []
        with pytest.raises(InvalidInput) as caught:
            render_video(spec, tmp_path / name, Context(cache=tmp_path / "cache", tell=events.append))
        assert caught.value.code == code
        assert events == []


def test_files_are_found_by_hash_or_path_and_named_as_people_know_them(tmp_path):
    digest = "ab" * 32
    (tmp_path / "blobs" / "ab").mkdir(parents=True)
    (tmp_path / "blobs" / "ab" / digest).write_bytes(b"x")
    context = Context(cache=tmp_path, blobs=tmp_path / "blobs")
    assert context.resolve(MediaRef(sha256=f"sha256:{digest}")).read_bytes() == b"x"
    with pytest.raises(InvalidInput, match="holiday") as caught:
        context.resolve(MediaRef(sha256="sha256:" + "cd" * 32, name="holiday.jpg"))
    assert caught.value.code == "media.missing"
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(InvalidInput) as caught:
        context.resolve(MediaRef(path=str(tmp_path / "empty.jpg")))
    assert caught.value.code == "media.empty"
    with pytest.raises(InvalidInput) as caught:
        Context(cache=tmp_path).resolve(MediaRef(sha256=f"sha256:{digest}"))
    assert caught.value.code == "media.no_blobs"


@pytest.mark.parametrize(
    ("scene", "code"),
    [
        ({"script": "… — ?!"}, "speech.nothing_to_say"),
        ({"face": {"kind": "rig", "character": "nobody"}}, "face.unknown_character"),
        ({"background": {"kind": "image", "image": {"path": "/nowhere/b.png"}}}, "media.missing"),
        ({"background": {"kind": "video", "video": {"path": __file__}}}, "video.unreadable"),
        ({"sounds": [{"audio": {"path": __file__}}]}, "sound.unreadable"),
    ],
)
def test_a_scene_that_cannot_be_made_leaves_nothing(tmp_path, small_spec, scene, code):
    spec = RenderSpec.model_validate(small_spec({"id": "a", **scene}))
    with pytest.raises(InvalidInput) as caught:
        make_segment(spec, "a", tmp_path / "out" / "a", Context(cache=tmp_path / "cache"))
    assert caught.value.code == code
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("script", ["שלום עולם.", "Hello \U0001f44b world <b>&</b>", "你好。"])
def test_any_script_with_words_in_it_makes_a_video(tmp_path, small_spec, script):
    spec = RenderSpec.model_validate(
        small_spec({"id": "a", "script": script}, output={"captions": {"mode": "both"}})
    )
    finished = render_video(spec, tmp_path / "o.mp4", Context(cache=tmp_path / "cache"))
    assert finished.frames > 10
    vtt = (tmp_path / "o.vtt").read_text(encoding="utf-8")
    assert "-->" in vtt
    assert script.split()[-1].strip("<b>&/。.") in vtt


@pytest.mark.parametrize("fault", ["items", "draw", "write", "join"])
def test_a_fault_in_the_middle_of_any_stage_leaves_nothing(tmp_path, small_spec, monkeypatch, fault):
    """Each stage works on real parts until it breaks at its tenth step."""
    steps = iter(range(1000))

    def breaking(work):
        def step(*arguments):
            if next(steps) == 10:
                raise RuntimeError(f"{fault} broke")
            return work(*arguments)

        return step

    where = {
        "items": (scene_renderer.Lettering, "sprites_at"),
        "draw": (scene_renderer.SceneRenderer, "draw"),
        "write": (segment_writer.SegmentWriter, "write"),
        "join": (assembly, "seconds_of"),
    }
    owner, name = where[fault]
    monkeypatch.setattr(owner, name, breaking(getattr(owner, name)))
    spec = RenderSpec.model_validate(small_spec({"id": "a"}))
    threads = threading.active_count()
    with pytest.raises(RuntimeError, match="broke"):
        render_video(spec, tmp_path / "out" / "o.mp4", Context(cache=tmp_path / "cache"))
    assert not (tmp_path / "out").exists()
    assert threading.active_count() == threads


def test_a_segment_serves_any_scene_with_its_content(tmp_path, small_spec):
    context = Context(cache=tmp_path / "cache")
    first = RenderSpec.model_validate(small_spec({"id": "a"}))
    make_segment(first, "a", tmp_path / "segments" / "renamed", context)
    spec = RenderSpec.model_validate(small_spec({"id": "renamed"}))
    assemble_folder(spec, tmp_path / "o.mp4", tmp_path / "segments", context)
    record = json.loads((tmp_path / "o.provenance.json").read_text())
    assert [scene["id"] for scene in record["scenes"]] == ["renamed"]


def test_assembly_refuses_missing_broken_and_outdated_segments(tmp_path, small_spec):
    context = Context(cache=tmp_path / "cache")
    spec = RenderSpec.model_validate(small_spec({"id": "a"}))
    folder = tmp_path / "segments"

    def code_of(of: RenderSpec) -> str:
        with pytest.raises(InvalidInput) as caught:
            assemble_folder(of, tmp_path / "out" / "o.mp4", folder, context)
        assert not (tmp_path / "out").exists()
        return caught.value.code

    assert code_of(spec) == "render.segment_missing"
    segment = make_segment(spec, "a", folder / "a", context)
    changed = spec.model_copy(update={"seed": 2})
    assert code_of(changed) == "render.segment_outdated"
    record = json.loads(segment.words.read_text())
    segment.words.write_text(json.dumps({**record, "fps": "many"}))
    assert code_of(spec) == "render.segment_broken"
    segment.words.write_text(json.dumps(record))
    segment.video.write_bytes(b"")
    assert code_of(spec) == "render.segment_missing"


def test_one_mistake_is_told_once_and_in_plain_words(tmp_path: Path, snapshot: SentenceSnapshot) -> None:
    (tmp_path / "spec.json").write_text('{"scenes": [{"id": "a", "script": ""}]}')
    with pytest.raises(InvalidInput) as caught:
        read_render_spec(tmp_path / "spec.json")
    assert caught.value.message == snapshot("no_script")


@pytest.mark.parametrize("missing", ["face.png", "face.mp4", "drive.mp4", "drive.npz"])
def test_reenactment_names_a_file_that_is_not_there(tmp_path: Path, missing: str) -> None:
    """Before anything is loaded: also where there is neither a network nor a card."""
    inputs = {"source": tmp_path / "face.png", "driving": tmp_path / "drive.mp4"}
    inputs["source" if missing.startswith("face") else "driving"] = tmp_path / missing
    for path in inputs.values():
        if path.name != missing:
            path.write_bytes(b"x")
    with pytest.raises(InvalidInput) as code_of:
        reenact(ReenactJob(**inputs), tmp_path / "out.mp4", Context(cache=tmp_path / "cache"))
    assert code_of.value.code == "media.missing"
    assert missing in str(code_of.value)


@pytest.mark.parametrize(
    ("make", "inputs"),
    [
        (lambda spec, out, context: render_video(spec, out / "face.mp4", context), "face.png"),
        (
            lambda spec, out, context: assemble_folder(spec, out / "face.mp4", out, context),
            "face.png",
        ),
        (lambda spec, out, context: make_still(spec, "a", 0, out / "face.png", context), "face.png"),
        (lambda spec, out, context: make_segment(spec, "a", out, context), "audio.wav"),
        (lambda spec, out, context: say_scene(spec, "a", out, context), "audio.wav"),
    ],
    ids=["render", "assemble", "still", "segment", "speak"],
)
def test_what_a_spec_is_made_of_is_not_written_over(tmp_path, small_spec, make, inputs):
    """A video's poster is named after it: `face.mp4` has `face.png`, which may be the photo."""
    (tmp_path / inputs).write_bytes(b"mine")
    media = {"path": str(tmp_path / "elsewhere" / ".." / inputs)}
    (tmp_path / "elsewhere").mkdir()
    scene = {"id": "a", "face": {"kind": "photo", "image": media, "consent": CONSENT}}
    if inputs == "audio.wav":
        scene = {"id": "a", "script": None, "audio": media}
    spec = RenderSpec.model_validate(small_spec(scene))
    with pytest.raises(InvalidInput, match=rf"output\.overwrites_input: .*{inputs}"):
        make(spec, tmp_path, Context(cache=tmp_path / "cache"))
    assert (tmp_path / inputs).read_bytes() == b"mine"


def test_a_video_without_a_poster_may_be_named_as_its_photo(tmp_path, small_spec):
    (tmp_path / "face.png").write_bytes(b"no picture")
    scene = {
        "id": "a",
        "face": {"kind": "photo", "image": {"path": str(tmp_path / "face.png")}, "consent": CONSENT},
    }
    spec = RenderSpec.model_validate(small_spec(scene, output={"poster": False}))
    with pytest.raises(InvalidInput, match=r"picture\.unreadable"):
        render_video(spec, tmp_path / "face.mp4", Context(cache=tmp_path / "cache"))
