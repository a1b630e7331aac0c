"""The command other programs run: JSON lines and nothing else, honest exit codes, nothing left after a
stop.
"""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from avatar.spec import Failed, Finished, FrameProgress, StageStarted, parse_progress

LONG = "This sentence is said again and again so that there is time to stop. " * 12


def lines_of(done: subprocess.CompletedProcess[str]):
    return [parse_progress(line) for line in done.stdout.splitlines()]


def test_render_prints_progress_lines_only_and_ends_with_the_result(avatar, write_spec, small_spec, tmp_path):
    done = avatar("render", write_spec(small_spec({"id": "a"})), tmp_path / "o.mp4", "--json")
    assert done.returncode == 0, done.stderr
    lines = lines_of(done)
    assert isinstance(lines[0], StageStarted)
    assert isinstance(lines[-1], Finished)
    assert Path(lines[-1].files[0].path).stat().st_size == lines[-1].files[0].bytes
    assert all(line.eta_s >= 0 for line in lines if isinstance(line, FrameProgress))


def test_segment_then_assemble_as_the_farm_does(avatar, write_spec, small_spec, tmp_path):
    spec = write_spec(small_spec({"id": "a"}, {"id": "b", "script": "And b."}))
    for scene in ("a", "b"):
        done = avatar("segment", spec, scene, tmp_path / "segments" / scene, "--json")
        assert done.returncode == 0, done.stderr
        names = {path.name for path in (tmp_path / "segments" / scene).iterdir()}
        assert names == {"segment.mp4", "audio.wav", "words.json"}
    done = avatar("assemble", spec, tmp_path / "o.mp4", "--segments", tmp_path / "segments", "--json")
    assert done.returncode == 0, done.stderr
    roles = [file.role for file in lines_of(done)[-1].files]
    assert roles == ["video", "vtt", "srt", "poster", "provenance"]


def test_preview_is_small_and_still_is_one_picture(avatar, write_spec, small_spec, tmp_path):
    import cv2

    wide = small_spec({"id": "a"}, {"id": "b"}, canvas={"width": 1280, "height": 720, "fps": 25})
    spec = write_spec(wide)
    assert avatar("preview", spec, "b", tmp_path / "p.mp4").returncode == 0
    found = cv2.VideoCapture(str(tmp_path / "p.mp4"))
    assert (found.get(cv2.CAP_PROP_FRAME_WIDTH), found.get(cv2.CAP_PROP_FRAME_HEIGHT)) == (640, 360)
    assert avatar("still", spec, "a", tmp_path / "s.png", "--ms", 500).returncode == 0
    assert cv2.imread(str(tmp_path / "s.png")).shape == (720, 1280, 3)


@pytest.mark.parametrize("as_json", [True, False])
def test_a_refusal_is_one_line_and_exit_code_one(avatar, write_spec, tmp_path, as_json):
    spec = write_spec({"scenes": [{"id": "a", "script": ""}]})
    done = avatar("render", spec, tmp_path / "o.mp4", *(["--json"] if as_json else []))
    assert done.returncode == 1
    if as_json:
        (failed,) = lines_of(done)
        assert isinstance(failed, Failed)
        assert failed.code == "spec.invalid"
    else:
        assert "spec.invalid" in done.stderr
        assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_an_unknown_scene_names_the_known_ones(avatar, write_spec, small_spec, tmp_path):
    done = avatar("segment", write_spec(small_spec({"id": "intro"})), "outro", tmp_path / "x", "--json")
    (failed,) = lines_of(done)
    assert failed.code == "spec.scene_unknown"
    assert "intro" in failed.hint


def test_engines_and_doctor_answer_in_json_too(avatar):
    engines = json.loads(avatar("engines", "--json").stdout)
    assert {engine["face"] for engine in engines} == {"rig", "photo", "video"}
    assert {engine["engine"] for engine in engines if engine["available"]} >= {"rig", "mesh", "motion"}
    for engine in engines:
        assert engine["available"] or engine["message"], "what is in the way is said"
    done = avatar("doctor", "--json")
    checks = {check["name"]: check["state"] for check in json.loads(done.stdout)}
    assert checks["espeak-ng"] == checks["encoders"] == "ok"
    assert done.returncode == int("missing" in checks.values())


@pytest.mark.parametrize(("stop", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("when", ["speech", "frames", "assemble"])
def test_a_stop_ends_with_its_code_and_leaves_nothing(
    command, write_spec, small_spec, tmp_path, stop, code, when
):
    spec = write_spec(small_spec({"id": "a", "script": LONG if when != "assemble" else "One. " * 60}))
    out = tmp_path / "out"
    out.mkdir()
    worker = subprocess.Popen(
        [*command, "render", str(spec), str(out / "o.mp4"), "--json", "--cache", str(tmp_path / "cache")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    seen = []
    assert worker.stdout is not None
    for text in worker.stdout:
        seen.append(parse_progress(text))
        at = seen[-1]
        if (isinstance(at, StageStarted) and at.stage == when != "frames") or (
            isinstance(at, FrameProgress) and when == "frames"
        ):
            worker.send_signal(stop)
            break
    rest, errors = worker.communicate(timeout=120)
    assert worker.returncode == code, errors
    last = parse_progress(rest.splitlines()[-1])
    assert isinstance(last, Failed)
    assert last.code == "render.cancelled"
    assert list(out.iterdir()) == []
    assert "Traceback" not in errors


def test_a_second_signal_does_not_disturb_the_cleaning_up(command, write_spec, small_spec, tmp_path):
    spec = write_spec(small_spec({"id": "a", "script": LONG}))
    out = tmp_path / "out"
    out.mkdir()
    worker = subprocess.Popen(
        [*command, "render", str(spec), str(out / "o.mp4"), "--json", "--cache", str(tmp_path / "cache")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert worker.stdout is not None
    while not isinstance(parse_progress(worker.stdout.readline()), FrameProgress):
        pass
    for _ in range(5):
        worker.send_signal(signal.SIGTERM)
        time.sleep(0.005)
    worker.communicate(timeout=120)
    assert worker.returncode == 143
    assert list(out.iterdir()) == []


def test_a_full_disk_is_said_and_leaves_nothing(command, write_spec, small_spec, tmp_path):
    """A limit on file size stands for the disk; the sound fits under it and the pictures do not."""
    spec = write_spec(small_spec({"id": "a"}, canvas={"width": 640, "height": 360, "fps": 25}))
    out = tmp_path / "out"
    limited = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000));"
        "from avatar.cli import main; sys.exit(main())"
    )
    arguments = ["render", str(spec), str(out / "o.mp4"), "--json", "--cache", str(tmp_path / "cache")]
    done = subprocess.run(
        [command[0], "-c", limited, *arguments], capture_output=True, text=True, check=False
    )
    failed = lines_of(done)[-1]
    assert isinstance(failed, Failed)
    assert failed.code == "render.disk_full", failed
    assert str(out) in failed.message and ".part" not in failed.message
    assert done.returncode == 1
    assert not out.exists()


def test_two_renders_of_one_spec_at_once_both_end_well(command, write_spec, small_spec, tmp_path):
    spec = write_spec(small_spec({"id": "a", "script": "Two at once."}))
    arguments = [
        "render",
        str(spec),
        str(tmp_path / "out" / "o.mp4"),
        "--json",
        "--cache",
        str(tmp_path / "cache"),
    ]
    workers = [
        subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in "ab"
    ]
    for worker in workers:
        _, errors = worker.communicate(timeout=240)
        assert worker.returncode == 0, errors
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["o.mp4", "o.png", "o.provenance.json", "o.srt", "o.vtt"]


def test_a_listener_that_goes_away_stops_the_work_and_leaves_nothing(
    command, write_spec, small_spec, tmp_path
):
    spec = write_spec(small_spec({"id": "a", "script": LONG}))
    out = tmp_path / "out"
    out.mkdir()
    worker = subprocess.Popen(
        [*command, "render", str(spec), str(out / "o.mp4"), "--json", "--cache", str(tmp_path / "cache")],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert worker.stdout is not None
    worker.stdout.readline()
    worker.stdout.close()
    assert worker.wait(timeout=120) != 0
    assert list(out.iterdir()) == []


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("import nowhere_to_be_found", "nowhere_to_be_found"),
        ("raise ImportError('libEGL.so.1: cannot open shared object file')", "libEGL.so.1"),
    ],
)
def test_a_missing_package_or_library_is_named(command, write_spec, small_spec, tmp_path, fault, message):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "skia.py").write_text(fault)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "broken")}

    def run(*arguments):
        return subprocess.run(
            [*command, *arguments], capture_output=True, text=True, check=False, env=environment
        )

    spec = write_spec(small_spec({"id": "a"}))
    done = run("render", str(spec), str(tmp_path / "o.mp4"), "--json")
    (failed,) = lines_of(done)
    assert failed.code == "worker.incomplete"
    assert message in failed.message
    assert done.returncode == 1
    doctor = run("doctor", "--json")
    states = {check["name"]: check for check in json.loads(doctor.stdout)}
    assert states["fonts"]["state"] == "missing"
    assert message in states["fonts"]["detail"]
    assert doctor.returncode == 1


def test_help_needs_no_media_library(command):
    environment = {**os.environ, "PYTHONPROFILEIMPORTTIME": "1"}
    done = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True, env=environment)
    assert "render" in done.stdout
    for library in ("cv2", "numpy", "skia", "av"):
        assert f"| {library}\n" not in done.stderr
