"""Frames painted by processes equal those painted here; whoever dies, nothing hangs and nothing is left."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from avatar.spec import Failed, FrameProgress, parse_progress
from waiting import eventually

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="painters are forked on Linux alone")

LONG = "This sentence is said again and again so that there is time to stop. " * 12
PAINT = """
import hashlib, os, sys
from contextlib import closing
from pathlib import Path
from avatar.pipeline.context import Context
from avatar.pipeline.painters import Painters, can_fork
from avatar.pipeline.scene_renderer import open_scene
from avatar.spec import RenderSpec
from avatar.speech import speak
from avatar.timing import control_track

def digest(planes):
    return hashlib.sha256(planes.y.tobytes() + planes.cb.tobytes() + planes.cr.tobytes()).hexdigest()

spec = RenderSpec.model_validate_json(Path("spec.json").read_text())
context = Context(cache=Path("cache"))
speech = speak(spec.scenes[0], Path("."), context.resolve)
track = control_track(speech, spec.canvas.fps, spec.seed)
assert can_fork(), os.listdir("/proc/self/task")
renderer = open_scene(spec, spec.scenes[0], speech, context, print)
"""


@pytest.fixture
def in_a_fresh_process(tmp_path, small_spec, flag_png) -> Callable[[str], subprocess.CompletedProcess[str]]:
    """Runs code with an opened renderer in a process without threads, as the worker's is."""
    overlay = {
        "kind": "image",
        "image": {"path": str(flag_png)},
        "box": {"x": 0.05, "y": 0.1, "width": 0.2, "height": 0.3},
        "start": {"at": "word", "word": "Nova"},
        "end": {"at": "word", "word": "test"},
    }
    scene = {"id": "a", "overlays": [overlay]}
    (tmp_path / "spec.json").write_text(json.dumps(small_spec(scene)))

    def run(code: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        return subprocess.run(
            [sys.executable, "-c", PAINT + textwrap.dedent(code)],
            capture_output=True, text=True, check=False, cwd=tmp_path, env=environment, timeout=120,
        )  # fmt: skip

    return run


def test_painters_paint_what_one_thread_paints_in_the_same_order(in_a_fresh_process):
    done = in_a_fresh_process("""
        with closing(Painters(renderer, track, 3)) as painters:
            theirs = [digest(planes) for planes in painters.frames()]
        ours = [digest(renderer.paint(moment)) for moment in renderer.frame_states(track)]
        assert len(set(ours)) > 20
        assert theirs == ours
    """)
    assert done.returncode == 0, done.stderr


def test_an_error_while_painting_comes_out_as_it_was_with_its_code(in_a_fresh_process):
    done = in_a_fresh_process("""
        from avatar.errors import InvalidInput
        def fail(moment, onto=None):
            raise InvalidInput("picture.broken", "It broke.", "Mend it.")
        renderer.paint = fail
        with closing(Painters(renderer, track, 2)) as painters:
            try:
                next(painters.frames())
            except InvalidInput as error:
                print(error)
    """)
    assert done.stdout == "picture.broken: It broke. (Mend it.)\n", done.stderr


def test_a_defect_while_painting_comes_out_with_its_traceback(in_a_fresh_process):
    done = in_a_fresh_process("""
        def fail(moment, onto=None):
            raise ZeroDivisionError("one over nothing")
        renderer.paint = fail
        with closing(Painters(renderer, track, 2)) as painters:
            next(painters.frames())
    """)
    assert done.returncode == 1
    assert "ZeroDivisionError: one over nothing" in done.stderr
    assert "in fail" in done.stderr


def test_a_process_with_threads_is_not_forked(in_a_fresh_process):
    done = in_a_fresh_process("""
        import threading
        from avatar.pipeline.frames import paint_frames
        stay = threading.Event()
        threading.Thread(target=stay.wait).start()
        assert not can_fork()
        with paint_frames(renderer, track) as frames:
            assert len(list(frames)) == track.frames
        stay.set()
    """)
    assert done.returncode == 0, done.stderr


def test_threads_paint_where_no_process_is_granted(in_a_fresh_process):
    done = in_a_fresh_process("""
        from avatar.pipeline.frames import paint_frames
        def refuse():
            raise BlockingIOError(11, "Resource temporarily unavailable")
        os.fork = refuse
        with paint_frames(renderer, track) as frames:
            assert len(list(frames)) == track.frames
    """)
    assert done.returncode == 0, done.stderr
    assert "Resource temporarily unavailable" in done.stderr


def test_threads_paint_pictures_whose_height_no_memory_of_others_can_hold(
    avatar, write_spec, small_spec, tmp_path
):
    odd = small_spec({"id": "a"}, canvas={"width": 326, "height": 182, "fps": 25})
    done = avatar("segment", write_spec(odd), "a", tmp_path / "a", "--json")
    assert done.returncode == 0, done.stderr


@pytest.fixture
def rendering(command, write_spec, small_spec, tmp_path):
    """A render by the worker's command that paints its first frames, and the ids of its painters."""
    out = tmp_path / "out"
    out.mkdir()
    spec = write_spec(small_spec({"id": "a", "script": LONG}))
    worker = subprocess.Popen(
        [*command, "render", str(spec), str(out / "o.mp4"), "--json", "--cache", str(tmp_path / "cache")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert worker.stdout is not None
    while not isinstance(parse_progress(worker.stdout.readline()), FrameProgress):
        pass
    painters = children_of(worker.pid)
    assert len(painters) >= 2
    yield worker, painters, out
    worker.kill()
    worker.communicate()


def children_of(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def wait_until_gone(pids: list[int]) -> None:
    """Waits; a zombie is gone too: its parent may be a container's init, which does not always reap."""
    eventually(lambda: not any(is_running(pid) for pid in pids), "the painters to end with the render")


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_painter_that_is_killed_ends_the_render_with_a_clear_error(rendering):
    worker, painters, out = rendering
    os.kill(painters[0], signal.SIGKILL)
    rest, errors = worker.communicate(timeout=60)
    assert worker.returncode == 1, errors
    failed = parse_progress(rest.splitlines()[-1])
    assert isinstance(failed, Failed)
    assert failed.code == "render.painter_lost"
    assert "signal 9" in failed.message
    assert list(out.iterdir()) == []
    wait_until_gone(painters)


def test_painters_of_a_render_that_is_killed_end_with_it(rendering):
    worker, painters, _ = rendering
    worker.kill()
    worker.wait(timeout=60)
    wait_until_gone(painters)


@pytest.mark.parametrize(("stop", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stop_ends_the_painters_too(rendering, stop, code):
    worker, painters, out = rendering
    for pid in (*painters, worker.pid) if stop == signal.SIGINT else (worker.pid,):
        os.kill(pid, stop)  # a terminal sends Ctrl-C to all of them
    _, errors = worker.communicate(timeout=60)
    assert worker.returncode == code, errors
    assert "Traceback" not in errors
    assert list(out.iterdir()) == []
    wait_until_gone(painters)


def test_painters_share_memory_that_has_no_name(rendering):
    _, painters, _ = rendering
    shared = [line for line in Path(f"/proc/{painters[0]}/maps").read_text().splitlines() if " rw-s " in line]
    assert shared
    assert all("/dev/zero (deleted)" in line for line in shared), shared
