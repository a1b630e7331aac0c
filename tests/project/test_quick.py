"""`make quick` finds the tests that a change can reach, in a checkout of a few small rooms."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from rooms import ROOMS, TORCH  # noqa: E402

FILES = {
    "pyproject.toml": "[tool.pytest.ini_options]\nmarkers = ['slow: a', 'gpu: b', 'torch: c']\n",
    "uv.lock": "",
    ".gitignore": "/.quick/\n/.venv/\n__pycache__/\n",
    "soundstage/__init__.py": "",
    "soundstage/clock.py": "def now(): return 1\n",
    "soundstage/unused.py": "",
    "studio/__init__.py": "",
    "studio/renders.py": "from soundstage import clock\ndef ready_by(): return clock.now() + 1\n",
    "studio/words.yaml": "a: b\n",
    "agent/__init__.py": "",
    "agent/tools.py": "from importlib import import_module\nNAMES = ['studio.renders:ready_by']\n",
    "policy/__init__.py": "",
    "policy/keys.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING: from studio import renders\n"
    "def check(): return True\n",
    "tests/conftest.py": "import sys\nfrom pathlib import Path\n"
    "sys.path.insert(0, str(Path(__file__).parent / 'support'))\n"
    "sys.path.insert(0, str(Path(__file__).parents[1]))\n"
    "import function_calls, processes, short_form\n"
    "def pytest_addoption(parser): short_form.add_options(parser)\n"
    "def pytest_configure(config):\n"
    "    config.pluginmanager.register(function_calls)\n"
    "    config.pluginmanager.register(processes)\n    config.pluginmanager.register(short_form)\n",
    "tests/servers/helper.py": "",
    "tests/soundstage/test_clock.py": "from soundstage.clock import now\ndef test_it(): assert now() == 1\n",
    "tests/studio/conftest.py": "import sys\nfrom pathlib import Path\n"
    "sys.path.insert(0, str(Path(__file__).parent))\nimport render_fixtures\n",
    "tests/studio/render_fixtures.py": "",
    "tests/studio/test_renders.py": "from studio import renders\n"
    "def test_it(): assert renders.ready_by() == 2\n",
    "tests/studio/test_plain.py": "def test_it(): assert 'conftest.py'\n",
    "tests/agent/test_tools.py": "import agent.tools\ndef test_it(): assert agent.tools.NAMES\n",
    "tests/policy/test_keys.py": "from policy.keys import check\ndef test_it(): assert check()\n",
}
SOUNDSTAGE, RENDERS, PLAIN = "soundstage/test_clock", "studio/test_renders", "studio/test_plain"
TOOLS, KEYS = "agent/test_tools", "policy/test_keys"
ALL = {SOUNDSTAGE, RENDERS, PLAIN, TOOLS, KEYS}


class Checkout:
    """A git repository with the real scripts, and programs in the place of the checks."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("quick.py", "reach.py", "rooms.py", "units.py"):
            self.write(f"scripts/{name}", (ROOT / "scripts" / name).read_text())
        (folder / "tests" / "support").mkdir(parents=True)
        for name in ("function_calls.py", "processes.py", "short_form.py"):
            shutil.copy(ROOT / "tests" / "support" / name, folder / "tests" / "support" / name)
        for name, text in FILES.items():
            self.write(name, text)
        pytest_options = "-m pytest -p no:cacheprovider --import-mode=importlib"
        for name, words in (("pytest", f'{sys.executable} {pytest_options} "$@"'), ("ruff", "true")):
            self.write(f".venv/bin/{name}", f"#!/bin/sh\nexec {words}\n").chmod(0o755)
        for name in ("mypy", "lint-imports"):
            self.write(f".venv/bin/{name}", "#!/bin/sh\n[ ! -e broken ]\n").chmod(0o755)
        for environment in ("avatar", "farm/device_plugin"):
            self.write(f"{environment}/.venv/bin/mypy", "#!/bin/sh\n").chmod(0o755)
        self.git("init", "-q", "-b", "main")
        self.commit()

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def git(self, *words: str) -> None:
        who = ("-c", "user.name=a", "-c", "user.email=a@example.com")
        subprocess.run(["git", *who, *words], cwd=self.folder, check=True, capture_output=True)

    def commit(self) -> None:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "tests: Change something")

    def run(self, *arguments: str) -> tuple[int, str]:
        """Runs `make quick` and returns its exit status and output."""
        command = [sys.executable, "scripts/quick.py", *arguments]
        # Plugins that are installed take a second to load.
        environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    def choose(self) -> set[str]:
        """Returns the test files that would run."""
        code, output = self.run("--list")
        assert code == 0, output
        return {line.removeprefix("tests/").removesuffix(".py") for line in output.splitlines() if line}


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_nothing_runs_where_nothing_changed(checkout: Checkout) -> None:
    assert checkout.choose() == set()


@pytest.mark.parametrize(
    ("file", "text", "expected"),
    [
        # A module reaches its importers, also those that name it in a string, but not those for types alone.
        ("studio/renders.py", FILES["studio/renders.py"] + "A = 1\n", {RENDERS, TOOLS}),
        ("soundstage/clock.py", "def now(): return 2\n", {SOUNDSTAGE, RENDERS, TOOLS}),
        ("soundstage/__init__.py", "A = 1\n", ALL - {PLAIN, KEYS}),
        ("soundstage/unused.py", "A = 1\n", set()),
        ("tests/studio/test_plain.py", "def test_it(): assert True\n", {PLAIN}),
        ("tests/studio/test_new.py", "def test_it(): assert True\n", {"studio/test_new"}),
        # What the imports do not show reaches more.
        ("studio/renders.py", "def ready_by(: return 2\n", {RENDERS, TOOLS}),
        ("studio/words.yaml", "a: c\n", {RENDERS, TOOLS}),
        ("tests/studio/conftest.py", "A = 1\n", {RENDERS, PLAIN}),
        ("tests/studio/conftest.py", "def broken(:\n", {RENDERS, PLAIN}),
        ("tests/studio/render_fixtures.py", "A = 1\n", {RENDERS, PLAIN}),
        ("tests/studio/test_plain.py", "def test_it(:\n", {RENDERS, PLAIN}),
        ("tests/support/short_form.py", "A = 1\n", ALL),
        ("avatar/uv.lock", "other", ALL),
        ("tests/studio/cases.json", "{}", {RENDERS, PLAIN}),
        # No test of this room compares sentences.
        ("tests/studio/sentences.json", "{}", set()),
        ("tests/servers/helper.txt", "", ALL),
        ("tests/conftest.py", FILES["tests/conftest.py"] + "A = 1\n", ALL),
        ("uv.lock", "other", ALL),
        ("something.new", "", ALL),
        ("docs/page.md", "", set()),
        # A name of a test helper in a string is no import of it.
        ("tests/agent/conftest.py", "A = 1\n", {TOOLS}),
    ],
)
def test_a_change_runs_the_tests_that_it_can_reach(
    checkout: Checkout, file: str, text: str, expected: set[str]
) -> None:
    checkout.write(file, text)
    assert checkout.choose() == expected
    checkout.git("checkout", "-q", "-b", "change")
    checkout.commit()
    assert checkout.choose() == expected


def test_other_imports_of_the_same_file_reach_other_tests(checkout: Checkout) -> None:
    checkout.write("soundstage/clock.py", "def now(): return 2\n")
    assert checkout.choose() == {SOUNDSTAGE, RENDERS, TOOLS}
    checkout.write(
        "tests/policy/test_keys.py", "import soundstage.clock\n" + FILES["tests/policy/test_keys.py"]
    )
    checkout.commit()
    checkout.write("soundstage/clock.py", "def now(): return 3\n")
    assert checkout.choose() == {SOUNDSTAGE, RENDERS, TOOLS, KEYS}
    (checkout.folder / ".quick" / "imports.json").write_text("cut o")
    assert checkout.choose() == {SOUNDSTAGE, RENDERS, TOOLS, KEYS}


def test_a_deleted_or_renamed_module_runs_the_tests_of_its_package(checkout: Checkout) -> None:
    (checkout.folder / "soundstage" / "clock.py").rename(checkout.folder / "soundstage" / "time.py")
    assert checkout.choose() == {SOUNDSTAGE, RENDERS, TOOLS}
    code, output = checkout.run()
    assert code == 1 and "FAIL  soundstage" in output and "FAIL  studio" in output


def test_a_deleted_test_helper_runs_the_tests_of_its_room(checkout: Checkout) -> None:
    (checkout.folder / "tests" / "studio" / "conftest.py").unlink()
    assert checkout.choose() == {RENDERS, PLAIN}


def test_a_deleted_test_runs_the_tests_of_its_room(checkout: Checkout) -> None:
    (checkout.folder / "tests" / "studio" / "test_plain.py").unlink()
    assert checkout.choose() == {RENDERS}


def test_without_git_everything_runs(checkout: Checkout) -> None:
    shutil.rmtree(checkout.folder / ".git")
    assert checkout.choose() == ALL


@pytest.mark.parametrize(
    ("file", "text", "room"),
    [
        ("studio/renders.py", "def ready_by(): return 3\n", "studio"),
        ("soundstage/clock.py", "def now(): return 7\n", "soundstage"),
        ("policy/keys.py", "def check(): return False\n", "policy"),
        ("agent/tools.py", "NAMES = []\n", "agent"),
        ("agent/tools.py", "NAMES = [\n", "agent"),
    ],
)
def test_a_planted_failure_is_found(checkout: Checkout, file: str, text: str, room: str) -> None:
    checkout.write(file, text)
    code, output = checkout.run()
    assert code == 1 and f"FAIL  {room}" in output
    # It is found again until it is mended; what passed is not run again.
    code, output = checkout.run()
    assert code == 1 and f"FAIL  {room}" in output
    checkout.git("checkout", "-q", file)
    assert checkout.run()[0] == 0


def test_a_planted_failure_is_found_in_each_room(checkout: Checkout) -> None:
    rooms = [room for room in ROOMS if room.folder and room.pytest != TORCH]
    for room in rooms:
        name = room.files[0] if room.files else "test_planted.py"
        checkout.write(f"{room.folder}/{name}", "def test_it(): assert False\n")
        if not (checkout.folder / room.pytest).exists():
            shutil.copy(checkout.folder / ".venv/bin/pytest", checkout.folder / room.pytest)
    code, output = checkout.run()
    assert code == 1
    assert [room.name for room in rooms if f"FAIL  {room.name} " not in output] == []


def test_a_fixture_that_fails_fails_the_tests_that_use_it(checkout: Checkout) -> None:
    checkout.write("tests/studio/render_fixtures.py", "raise RuntimeError\n")
    code, output = checkout.run()
    assert code == 1 and "FAIL  studio" in output
    assert checkout.run()[0] == 1, "it did not pass, so it runs again"


def test_what_passed_does_not_run_again(checkout: Checkout) -> None:
    checkout.write("studio/renders.py", FILES["studio/renders.py"] + "A = 1\n")
    code, output = checkout.run()
    assert code == 0 and "types (control)" in output and "studio " in output and "agent " in output
    assert checkout.choose() == set()
    code, output = checkout.run()
    assert code == 0 and "types (control)" not in output
    # Other contents of what it depends on run it again.
    checkout.write("soundstage/clock.py", "def now(): return 1 + 0\n")
    assert checkout.choose() == {SOUNDSTAGE, RENDERS, TOOLS}


# What the tests run of it: `ready_by`; by a fixture of the session `connect`, behind a cache `load`.
PARTS = """
from functools import cache
from soundstage import clock
LIMIT = 1
UNUSED = 2
def ready_by():
    return clock.now() + LIMIT
def connect():
    return 1
@cache
def cached():
    return load()
def load():
    return 1
class Row:
    size = 3
    def width(self):
        return self.size
    def height(self):
        return 1
class Other:
    size = 3
def never_run():
    return 1
"""
USES_PARTS = """
import runpy
import pytest
from studio import renders
@pytest.fixture(scope="session")
def connection(): return renders.connect()
"""
PARTS_TEST = """
from studio import renders
def test_it(connection): assert renders.ready_by() + renders.cached() + renders.Row().width() == 6
"""
ONE, TWO = "studio/test_one", "studio/test_two"


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("never_run():\n    return 1", "never_run():\n    return 2", set()),
        ("LIMIT = 1", "LIMIT = 2", {ONE, TWO}),
        ("UNUSED = 2", "UNUSED = 3", set()),
        ("    return clock.now() + LIMIT", "    return LIMIT + 1", {ONE, TWO}),
        ("connect():\n    return 1", "connect():\n    return 2", {ONE, TWO}),
        ("load():\n    return 1", "load():\n    return 0 + 1", {ONE, TWO}),
        ("class Row:\n    size = 3", "class Row:\n    size = 4", {ONE, TWO}),
        ("class Other:\n    size = 3", "class Other:\n    size = 4", set()),
        ("height(self):\n        return 1", "height(self):\n        return 2", set()),
        ("def width(self):", "def width(self, more=1):", {ONE, TWO}),
        ("def never_run():", "def added(): return 1\ndef never_run():", set()),
        ("def never_run():", "@print\ndef never_run():", {ONE, TWO, RENDERS, PLAIN, TOOLS}),
        ("LIMIT = 1", "LIMIT = 1\nclock.now()", {ONE, TWO, RENDERS, PLAIN, TOOLS}),
        ("from soundstage import clock", "from soundstage import unused as clock", {ONE, TWO}),
    ],
)
def test_a_test_runs_again_for_what_it_runs_and_names(
    checkout: Checkout, before: str, after: str, expected: set[str]
) -> None:
    checkout.write("tests/studio/render_fixtures.py", USES_PARTS)
    fixtures = "from render_fixtures import connection\n"
    checkout.write("tests/studio/conftest.py", FILES["tests/studio/conftest.py"] + fixtures)
    for test in (ONE, TWO):
        checkout.write(f"tests/{test}.py", PARTS_TEST)
    renders = checkout.write("studio/renders.py", PARTS)
    code, output = checkout.run()
    assert code == 0, output
    assert checkout.choose() == set()
    assert before in PARTS and (checkout.folder / ".quick" / "units.json").exists()
    renders.write_text(PARTS.replace(before, after))
    chosen = checkout.choose()
    # The first two run `ready_by`; PLAIN and TOOLS only import the file.
    assert chosen - {RENDERS, PLAIN, TOOLS} == expected & {ONE, TWO}
    assert expected <= chosen and (expected or not chosen)


def test_a_file_that_is_run_without_an_import_counts_as_a_whole(checkout: Checkout) -> None:
    by_path = "import runpy\nfrom studio import renders\n"
    by_path += "def test_it(): assert runpy.run_path(renders.__file__)['ready_by']() == 2\n"
    checkout.write("tests/studio/test_one.py", by_path)
    parts = FILES["studio/renders.py"] + "def never_run(): return 1\n"
    checkout.write("studio/renders.py", parts)
    assert checkout.run()[0] == 0
    checkout.write("studio/renders.py", parts.replace("return 1", "return 2"))
    assert ONE in checkout.choose()


def test_a_check_that_fails_fails_the_run_until_it_passes(checkout: Checkout) -> None:
    checkout.write("broken", "")
    for _ in range(2):
        code, output = checkout.run()
        assert code == 1 and "FAIL  imports" in output and "FAIL  types (control)" in output
    (checkout.folder / "broken").unlink()
    assert checkout.run()[0] == 0


STARTS = """
import asyncio, multiprocessing, os, subprocess, sys
import pytest
from studio import renders

@pytest.fixture
def server():
    yield subprocess.Popen(["true"]).wait()

def test_plain(): pass
def test_by_a_fixture(server): pass
def test_by_itself(): subprocess.run(["true"], check=True)
def test_by_the_product(): renders.start()
def test_by_a_thread_that_swallows_it():
    import threading
    thread = threading.Thread(target=renders.start)
    thread.start()
    thread.join()
def test_by_multiprocessing(): renders.spawn()
def test_by_fork(): renders.fork()
"""
PRODUCT = """
def start():
    import subprocess
    open(__file__ + ".started", "w").close() if subprocess.run(["true"]).returncode == 0 else None
def spawn():
    import multiprocessing
    multiprocessing.get_context("spawn").Process(target=print).start()
def fork():
    import os
    os.fork() or os._exit(0)
def ready_by(): return 2
"""


def test_tests_that_start_processes_are_left_out_and_remembered(checkout: Checkout) -> None:
    checkout.write("studio/renders.py", PRODUCT)
    checkout.write("tests/studio/test_starts.py", STARTS)
    code, output = checkout.run()
    assert code == 0 and "Left out: 6 tests" in output and 'scripts/test --only "studio agent"' in output
    assert not (checkout.folder / "studio" / "renders.py.started").exists()
    # Known now, they are not even begun.
    marked = [sys.executable, "-m", "pytest", "-q", "--import-mode=importlib", "-m", "not process"]
    done = subprocess.run([*marked, "tests/studio/test_starts.py"], cwd=checkout.folder, capture_output=True)
    assert b"1 passed, 6 deselected" in done.stdout
    # A plain run has them all.
    done = subprocess.run(
        [*marked[:-2], "tests/studio/test_starts.py"], cwd=checkout.folder, capture_output=True
    )
    assert b"7 passed" in done.stdout
