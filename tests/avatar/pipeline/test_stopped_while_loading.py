"""Ctrl-C and SIGTERM while the worker's libraries load: one sentence or none, and never a traceback."""

import os
import signal
import subprocess

import pytest
from avatar.spec import Failed, parse_progress

LOADING = "import sys, time\nprint('loading', file=sys.stderr, flush=True)\n"
# In steps: a signal that arrives just before the system call of a sleep does not interrupt that sleep.
WAITS = "for _ in range(6000):\n        time.sleep(0.01)"
SLOW = f"{LOADING}if True:\n    {WAITS}\n"
HIDES = f"{LOADING}try:\n    {WAITS}\nexcept BaseException:\n    raise ImportError('lost')\n"


def stop_while_loading(command, folder, library: str, source: str, stop: signal.Signals, *arguments: str):
    """The command's exit code, output and complaints, when the signal comes while `library` is imported."""
    (folder / "slow").mkdir()
    (folder / "slow" / f"{library}.py").write_text(source)
    worker = subprocess.Popen(
        [*command, *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(folder / "slow")},
    )  # fmt: skip
    assert worker.stderr is not None
    assert worker.stderr.readline() == "loading\n"
    worker.send_signal(stop)
    output, complaints = worker.communicate(timeout=60)
    return worker.returncode, output, complaints


@pytest.mark.parametrize(("stop", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("source", [SLOW, HIDES], ids=["a slow import", "an import that hides the signal"])
def test_a_stop_while_media_libraries_load_is_one_sentence(
    command, write_spec, small_spec, tmp_path, source, stop, code
):
    arguments = ("render", str(write_spec(small_spec({"id": "a"}))), str(tmp_path / "out" / "o.mp4"))
    ended, output, complaints = stop_while_loading(command, tmp_path, "skia", source, stop, *arguments)
    assert (ended, output) == (code, "")
    (sentence,) = (line for line in complaints.splitlines() if not line.startswith(" "))
    assert "stopped on request" in sentence and "render.cancelled" in sentence
    assert "Traceback" not in complaints
    assert not (tmp_path / "out").exists()


def test_programs_read_the_same_as_a_json_line(command, write_spec, small_spec, tmp_path):
    arguments = ("render", str(write_spec(small_spec({"id": "a"}))), str(tmp_path / "o.mp4"), "--json")
    ended, output, complaints = stop_while_loading(command, tmp_path, "skia", SLOW, signal.SIGINT, *arguments)
    failed = parse_progress(output)
    assert isinstance(failed, Failed)
    assert (ended, failed.code, complaints) == (130, "render.cancelled", "")


def test_before_there_is_anything_to_tidy_ctrl_c_is_silent(command, tmp_path):
    """The program ends by the signal itself, which a shell shows as 130."""
    ended, output, complaints = stop_while_loading(
        command, tmp_path, "pydantic", SLOW, signal.SIGINT, "doctor"
    )
    assert (ended, output, complaints) == (-signal.SIGINT, "", "")
