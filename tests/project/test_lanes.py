"""`make test` runs rooms beside each other, in a checkout of a few small rooms."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import waiting

SCRIPTS = Path(__file__).parents[2] / "scripts"
sys.path.insert(0, str(SCRIPTS))

from lanes import lab_processor_seconds, lanes_for  # noqa: E402
from long_runs import RECORD, long_runs_page, read_record, record_run  # noqa: E402

# Plugins take a second to load.
QUICK = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
# Waits until the named room has begun: passes only beside it.
MEETS = """
import pathlib, time
def test_{room}_meets_{other}():
    here = pathlib.Path({folder!r})
    (here / "{room}").touch()
    until = time.monotonic() + {patience_s}
    while not (here / "{other}").exists():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.02)
    print("{room} has met {other}")
"""
PASSES = "def test_it(): pass\n"
# A process that may write no bytecode finds that of the run.
COMPILED = """
import importlib.util, pathlib, sys
def test_it():
    assert sys.dont_write_bytecode
    source = pathlib.Path({folder!r}) / "soundstage" / "events.py"
    assert pathlib.Path(importlib.util.cache_from_source(source)).exists()
"""
MARKED = """
import pytest
def test_plain(): pass
@pytest.mark.slow
def test_slow(): pass
@pytest.mark.gpu
def test_on_a_card(): pass
"""
NICENESS = """
import os, pathlib
def test_it(): (pathlib.Path({folder!r}) / "{room}.nice").write_text(str(os.nice(0)))
"""
# Passes the second time.
UNSTEADY = """
import pathlib
def test_it():
    mark = pathlib.Path({mark!r})
    known = mark.exists()
    mark.touch()
    assert known
def test_that_holds(): pass
"""
# Of tests/support/cached_results.py.
OPTIONS = """
def pytest_addoption(parser):
    for name in ("--only-changed", "--own-room", "--check-inputs"):
        parser.addoption(name, action="store_true")
"""
# Leaves a process behind unless it is taken down, and tells when it is.
HOUSE = """
import os, pathlib, pytest, subprocess, time
@pytest.fixture(scope="session")
def house():
    here = pathlib.Path({folder!r})
    keeper = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    stray = subprocess.Popen(["sh", "-c", "trap '' INT; while :; do sleep 0.1; done"])
    (here / "{room}.pids").write_text(f"{{keeper.pid}} {{stray.pid}}")
    yield
    keeper.kill()
    keeper.wait()
    (here / "{room}.down").touch()
def test_it(house): time.sleep(1000)
"""
eventually = partial(waiting.eventually, within_s=120)


class Checkout:
    """One with the real scripts, and rooms that a test writes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "scripts").mkdir()
        for name in (
            "test",
            "lanes.py",
            "rooms.py",
            "failed_tests.py",
            "closing_line.py",
            "long_runs.py",
            "reach.py",
            "room_times.py",
        ):
            shutil.copy(SCRIPTS / name, folder / "scripts" / name)
        for name, words in (("python", ""), ("pytest", "-m pytest ")):
            self.program(f".venv/bin/{name}", f'#!/bin/sh\nexec {sys.executable} {words}"$@"\n')
        (folder / "conftest.py").write_text(OPTIONS)
        (folder / "pytest.ini").write_text("[pytest]\nmarkers =\n    slow: a\n    gpu: b\n    torch: c\n")

    def program(self, place: str, text: str) -> None:
        path = self.folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)

    def room(self, name: str, test: str, **values: object) -> None:
        place = self.folder / "tests" / name
        place.mkdir(parents=True)
        values = {"room": name, "folder": str(self.folder), **values}
        (place / f"test_{name}.py").write_text(test.format(**values) if "{" in test else test)

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self.folder / "scripts" / "test", *arguments],
            env={
                **os.environ,
                "TEST_LANES": "2",
                "TEST_AGAIN": "0",
                "TMPDIR": str(self.folder),
                **QUICK,
                **variables,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *arguments: str, **variables: str) -> tuple[int, list[str]]:
        """Its exit status and the lines that it printed."""
        running = self.start(*arguments, **variables)
        output, _ = running.communicate(timeout=240)
        return running.returncode, output.splitlines()


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_two_rooms_run_at_once_and_each_says_its_part_in_one_piece(checkout: Checkout) -> None:
    checkout.room("agent", MEETS, other="jobs", patience_s=60)
    checkout.room(
        "jobs", MEETS + "    time.sleep(1)\n    assert 0, 'on purpose'\n", other="agent", patience_s=60
    )
    code, output = checkout.run()
    assert code == 1 and output[-1] == "1 passed, 1 failed, 0 skipped"
    assert sum(" begins (" in line for line in output) == 2
    agent, jobs = output.index("== agent"), output.index("== jobs")
    assert agent < jobs and any("1 passed" in line for line in output[agent:jobs])
    assert any("on purpose" in line for line in output[jobs:])
    assert any(line.startswith("  jobs ") for line in output[output.index("Seconds per room") :])


def test_rooms_that_need_the_whole_machine_are_never_beside_each_other(checkout: Checkout) -> None:
    checkout.room("pxe", MEETS, other="lab", patience_s=2)
    checkout.room("lab", MEETS, other="pxe", patience_s=2)
    code, output = checkout.run(TEST_LANES="3")
    assert code == 1 and output[-1] == "1 passed, 1 failed, 0 skipped"


@pytest.mark.parametrize(
    ("cores", "memory_gib", "lanes"),
    [(1, 64, 1), (2, 4, 2), (2, 12, 2), (2, 23.5, 3), (4, 31, 5), (64, 500, 6)],
)
def test_lanes_follow_the_cores_and_the_memory_of_the_computer(
    cores: int, memory_gib: float, lanes: int
) -> None:
    assert lanes_for(cores, memory_gib) == lanes


@pytest.mark.parametrize("place", ["soundstage-lab", "unified/soundstage-lab"])
def test_what_machines_of_labs_compute_is_counted(tmp_path: Path, place: str) -> None:
    assert lab_processor_seconds(tmp_path) == 0
    (tmp_path / place).mkdir(parents=True)
    (tmp_path / place / "cpu.stat").write_text("usage_usec 2500000\nuser_usec 1\n")
    assert lab_processor_seconds(tmp_path) == 2.5


def test_rooms_that_compute_have_a_lower_priority_beside_others(checkout: Checkout) -> None:
    for name in ("agent", "avatar"):
        checkout.room(name, NICENESS)
    checkout.program("scripts/torch_environment", "#!/bin/sh\nexit 1\n")
    checkout.program("avatar/.venv/bin/pytest", (checkout.folder / ".venv/bin/pytest").read_text())
    code, output = checkout.run()
    assert code == 0, output
    mine, computing = (int((checkout.folder / f"{name}.nice").read_text()) for name in ("agent", "avatar"))
    assert mine == os.nice(0) and computing == min(19, mine + 5)


def test_modules_are_compiled_before_processes_import_them(checkout: Checkout) -> None:
    (checkout.folder / "soundstage").mkdir()
    (checkout.folder / "soundstage" / "events.py").write_text("NAME = 1\n")
    (checkout.folder / "soundstage" / "broken.py").write_text("NAME =\n")
    checkout.room("agent", COMPILED)
    code, output = checkout.run(PYTHONDONTWRITEBYTECODE="1")
    assert (code, output[-1]) == (0, "1 passed, 0 failed, 0 skipped"), output


def test_one_lane_takes_one_room_after_the_other(checkout: Checkout) -> None:
    checkout.room("agent", MEETS, other="jobs", patience_s=1)
    checkout.room("jobs", MEETS, other="agent", patience_s=1)
    code, output = checkout.run(TEST_LANES="1")
    assert code == 1 and output[-1] == "1 passed, 1 failed, 0 skipped"
    assert not any(" begins (" in line for line in output)


@pytest.mark.parametrize(("how", "count"), [((), 1), (("--long",), 2), (("--gpu",), 1)])
def test_the_long_run_takes_the_slow_tests_too_and_that_of_cards_only_theirs(
    checkout: Checkout, how: tuple[str, ...], count: int
) -> None:
    checkout.room("agent", MARKED)
    checkout.program("scripts/check", "#!/bin/sh\necho 'checked all'\n")
    checkout.program("scripts/llama_server", "#!/bin/sh\nexit 1\n")
    code, output = checkout.run(*how, TEST_LANES="")
    assert (code, output[-1]) == (0, f"{count} passed, 0 failed, 0 skipped")
    assert ("checked all" in output) == (how != ("--gpu",))
    assert ("Those tests that need llama-server are left out." in output) == (how == ("--long",))
    assert any(" begins (" in line for line in output) == (how == () and (os.cpu_count() or 1) > 1)


def test_what_check_finds_fails_the_run(checkout: Checkout) -> None:
    checkout.room("agent", PASSES)
    checkout.program("scripts/check", "#!/bin/sh\necho 'FAIL types'\nexit 1\n")
    code, output = checkout.run()
    assert (code, output[-1]) == (1, "1 passed, 1 failed, 0 skipped")
    assert "FAIL types" in output


def test_what_check_finds_is_not_tried_again(checkout: Checkout) -> None:
    """It finds the same each time; what is gone the second time was somebody's edit in between."""
    checkout.room("agent", PASSES)
    known = checkout.folder / "known"
    checkout.program("scripts/check", f"#!/bin/sh\n[ -e {known} ] || {{ touch {known}; exit 1; }}\n")
    code, output = checkout.run(TEST_AGAIN="1")
    assert (code, output[-1]) == (1, "1 passed, 1 failed, 0 skipped")
    assert not any("once more" in line for line in output)


def test_an_unsteady_test_is_tried_again_at_the_end_when_that_is_wanted(checkout: Checkout) -> None:
    checkout.room("agent", UNSTEADY, mark=str(checkout.folder / "known"))
    checkout.room("jobs", PASSES)
    code, output = checkout.run(TEST_AGAIN="1")
    assert (code, output[-1]) == (0, "3 passed, 0 failed, 0 skipped")
    assert "== agent, once more: agent/test_it" in output and "  agent/test_it" in output
    (checkout.folder / "known").unlink()
    assert checkout.run()[0] == 1


def test_a_room_that_breaks_off_fails_the_run(checkout: Checkout) -> None:
    checkout.room("agent", "import os\ndef test_it(): os.kill(os.getpid(), 9)\n")
    checkout.room("jobs", PASSES)
    code, output = checkout.run()
    assert (code, output[-1]) == (1, "1 passed, 1 failed, 0 skipped")
    assert "agent ended with -9" in output


def test_rooms_can_be_chosen(checkout: Checkout) -> None:
    for name in ("agent", "jobs", "lab"):
        checkout.room(name, PASSES)
    assert checkout.run("--only", "lab jobs")[1][-1] == "2 passed, 0 failed, 0 skipped"
    code, output = checkout.run("--only", "lba")
    assert code == 2 and "No room is called lba; there are: lab agent jobs" in output[-1]


def test_the_seconds_and_slowest_tests_of_each_room_are_printed_and_written(checkout: Checkout) -> None:
    sleeps = "import time\ndef test_long(): time.sleep(0.4)\ndef test_short(): time.sleep(0.1)\n"
    checkout.room("agent", sleeps + "def test_a(): pass\ndef test_b(): pass\n")
    checkout.room("jobs", "import os\ndef test_it(): os.kill(os.getpid(), 9)\n")
    code, output = checkout.run("--json", "figures/times.json", TEST_STEPS="  set-up 3 s\n")
    assert code == 1 and output.index("  set-up 3 s") < output.index("Seconds per room")
    row = next(line for line in output if line.startswith("  agent "))
    assert row.split()[1] == "4" and row.index("test_long 0.") < row.index("test_short 0.")
    times = json.loads((checkout.folder / "figures" / "times.json").read_text())
    rooms = {room["room"]: room for room in times["rooms"]}
    assert rooms["agent"]["tests"] == 4 and rooms["agent"]["slowest"][0]["test"] == "test_long"
    assert len(rooms["agent"]["slowest"]) == 3 and rooms["jobs"]["seconds"] > 0
    assert times["seconds"] >= rooms["agent"]["seconds"]
    assert 0 < rooms["agent"]["processor_seconds"] < times["seconds"] * 2
    assert any("in 2 lanes, ended after 0." in line for line in output)


def test_files_of_a_room_can_be_chosen(checkout: Checkout) -> None:
    checkout.room("agent", PASSES)
    (checkout.folder / "tests" / "agent" / "test_other.py").write_text(MARKED)
    checkout.room("jobs", PASSES)
    assert checkout.run("--only", "agent:test_other.py jobs")[1][-1] == "2 passed, 0 failed, 0 skipped"
    code, output = checkout.run("--only", "agent:test_nothing.py")
    assert code == 2 and "agent has no test_nothing.py in tests/agent" in output[-1]


def test_sentences_are_renewed_room_by_room_and_no_other_test_runs(checkout: Checkout) -> None:
    shutil.copy(SCRIPTS.parent / "tests" / "support" / "sentences.py", checkout.folder / "sentences.py")
    (checkout.folder / "conftest.py").write_text(
        "import sentences\ndef pytest_addoption(parser): sentences.add_options(parser)\n"
        "def pytest_configure(config): config.pluginmanager.register(sentences)\n"
    )
    checkout.program("scripts/check", "#!/bin/sh\nexit 1\n")
    compares = "def test_words(snapshot): assert 'It is done.' == snapshot(\"done\")\n"
    checkout.room("agent", compares + "def test_other(): assert 0\n")
    checkout.room("jobs", "def test_it(): assert 0\n")
    code, output = checkout.run("--renew-sentences", PYTHONPATH=str(checkout.folder), CI="")
    assert (code, output[-1]) == (0, "1 passed, 0 failed, 0 skipped")
    written = json.loads((checkout.folder / "tests" / "agent" / "sentences.json").read_text())
    assert written == {"test_agent.py": {"done": "It is done."}}


def test_a_long_run_writes_the_results_of_long_tests_alone(checkout: Checkout) -> None:
    shutil.copy(SCRIPTS.parent / "tests" / "support" / "short_form.py", checkout.folder / "short_form.py")
    (checkout.folder / "conftest.py").write_text(
        f"import short_form\n{OPTIONS}    short_form.add_options(parser)\n"
        "def pytest_configure(config): config.pluginmanager.register(short_form)\n"
    )
    checkout.program("scripts/llama_server", "#!/bin/sh\nexit 0\n")
    checkout.room("agent", MARKED)
    checkout.room("jobs", MARKED)
    (checkout.folder / "tests" / "jobs" / "test_plain.py").write_text(PASSES)
    assert not (checkout.folder / RECORD).exists()
    checkout.run(PYTHONPATH=str(checkout.folder))
    assert read_record(checkout.folder) == {}
    checkout.run("--long", "--only", "agent jobs", PYTHONPATH=str(checkout.folder))
    record = read_record(checkout.folder)
    assert record.keys() == {"agent:agent/test_agent.py", "jobs:jobs/test_jobs.py"}
    entry = record["agent:agent/test_agent.py"]
    assert (entry["passed"], entry["failed"], entry["skipped"]) == (1, 0, 0)
    # The run of one file replaces its entry alone, and says that it failed.
    failing = MARKED.replace("def test_slow(): pass", "def test_slow(): assert 0")
    (checkout.folder / "tests" / "jobs" / "test_jobs.py").write_text(failing)
    code, _ = checkout.run("--long", "--only", "jobs:test_jobs.py", PYTHONPATH=str(checkout.folder))
    assert code == 1
    again = read_record(checkout.folder)
    assert again["agent:agent/test_agent.py"] == entry and again["jobs:jobs/test_jobs.py"]["failed"] == 1
    row = next(line for line in long_runs_page(checkout.folder).splitlines() if "jobs/test_jobs" in line)
    assert "| 1 failed | 0.0 |" in row


def test_only_files_with_long_tests_of_their_own_have_a_row(tmp_path: Path) -> None:
    folder = tmp_path / "tests" / "project"
    folder.mkdir(parents=True)
    (folder / "test_own.py").write_text(MARKED)
    (folder / "test_of_others.py").write_text(f"TESTS = {MARKED!r}\ndef test_plain(): pass\n")
    rows = [line for line in long_runs_page(tmp_path).splitlines() if "not recorded" in line]
    assert [row.split("`")[1] for row in rows] == ["project/test_own.py"]


def test_a_long_run_that_skips_a_file_keeps_what_was_recorded(tmp_path: Path) -> None:
    (tmp_path / "tests" / "pxe").mkdir(parents=True)
    (tmp_path / "tests" / "pxe" / "test_boot.py").touch()
    report = tmp_path / "pxe.xml"
    case = (
        '<testsuites><testsuite><testcase classname="tests.pxe.test_boot" name="a" time="3">'
        '<properties><property name="long" value="slow"/></properties>{}</testcase></testsuite></testsuites>'
    )
    report.write_text(case.format(""))
    record_run(tmp_path, "pxe", report)
    report.write_text(case.format("<skipped/>"))
    record_run(tmp_path, "pxe", report)
    assert read_record(tmp_path)["pxe:pxe/test_boot.py"]["passed"] == 1
    report.write_text("<cut off")
    record_run(tmp_path, "pxe", report)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_whoever_stops_it_stops_both_lanes_and_what_they_have_made(
    checkout: Checkout, how: signal.Signals
) -> None:
    for name in ("lab", "agent", "jobs"):
        checkout.room(name, HOUSE)
    running = checkout.start()
    up = [checkout.folder / f"{name}.pids" for name in ("lab", "agent")]
    eventually(lambda: all(path.exists() and path.read_text() for path in up))
    pids = [int(word) for path in up for word in path.read_text().split()]
    running.send_signal(how)
    running.communicate(timeout=120)
    try:
        eventually(lambda: all(path.with_suffix(".down").exists() for path in up))
        assert running.returncode == (-9 if how is signal.SIGKILL else 130)
        assert not (checkout.folder / "jobs.pids").exists()
        # Nobody is there to end what shuts its ears once the runner itself was killed.
        assert how is signal.SIGKILL or not [pid for pid in pids if lives(pid)]
    finally:
        for pid in [pid for pid in pids if lives(pid)]:
            os.kill(pid, signal.SIGKILL)


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
