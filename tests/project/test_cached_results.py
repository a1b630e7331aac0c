"""Cached modules run when what they depend on has changed, and only what passed as a whole is recorded."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from cached_results import RECORD, CachedResult, Inputs, read_record
from room_inputs import ROOM_INPUTS

ROOT = Path(__file__).parents[2]
SUPPORT = ROOT / "tests" / "support"
LOCK = "avatar/uv.lock"
# Plugins take a second to load.
QUICK = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
MODULE = "tests/avatar/net/test_net.py"
PATHS = """
import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[3] / "avatar" / "src")]
pytestmark = pytest.mark.torch


@pytest.fixture(autouse=True)
def roomy_disk():
    return None
"""
SHARED = """
import gc
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "support"))
import cached_results

PLACE = "here"
OBJECTS = 700


def pytest_addoption(parser):
    cached_results.add_options(parser)


def pytest_configure(config):
    gc.set_threshold(OBJECTS)
    config.pluginmanager.register(cached_results)


@pytest.fixture(autouse=True)
def place():
    return PLACE
"""
TREE = {
    "pyproject.toml": "[tool.pytest.ini_options]\naddopts = '--import-mode=importlib'\n"
    "markers = ['slow', 'gpu', 'smoke', 'torch', 'cached']\n",
    "avatar/uv.lock": "version = 1\n",
    "avatar/src/avatar/__init__.py": "",
    "avatar/src/avatar/engines/__init__.py": "",
    "avatar/src/avatar/engines/net.py": '"""A network."""\nfrom avatar.engines.layer import scaled\n\n\n'
    "def forward(sample: int) -> int:\n    return scaled(sample)\n",
    "avatar/src/avatar/engines/layer.py": "def scaled(sample: int) -> int:\n    return 2 * sample\n",
    "avatar/src/avatar/engines/other.py": "NAME = 'other'\n",
    "avatar/src/avatar/late.py": "VALUE = 3\n",
    "avatar/src/avatar/named.py": "VALUE = 4\n",
    "tests/conftest.py": SHARED,
    "tests/avatar/conftest.py": (ROOT / "tests" / "avatar" / "conftest.py")
    .read_text()
    .replace('("torch") is', '("json") is'),
    "tests/avatar/net/cases.py": "from pathlib import Path\n\n"
    "FIGURES = Path(__file__).parent / 'figures.txt'\n",
    "tests/avatar/net/figures.txt": "4\n",
    MODULE: PATHS
    + """
ENGINES = {"named": "avatar.named"}


@pytest.mark.parametrize("sample", [1, 2])
def test_forward(sample):
    import cases
    from avatar.engines.net import forward
    from avatar.late import VALUE

    assert forward(2) == int(cases.FIGURES.read_text()) and VALUE


@pytest.mark.slow
def test_forward_at_length():
    from avatar.engines.net import forward

    assert forward(100) == 200
""",
}
OTHERS = {
    "tests/avatar/net/test_always.py": PATHS.replace("mark.torch", "mark.smoke")
    + "\ndef test_smoke():\n    assert True\n",
    "tests/avatar/net/test_failing.py": PATHS
    + "\ndef test_one():\n    assert False\n\ndef test_two():\n    assert True\n",
    "tests/avatar/net/test_tearing_down.py": PATHS.replace("return None", "yield\n    raise OSError")
    + "\ndef test_one():\n    assert True\n",
    "tests/avatar/net/test_skipping.py": PATHS
    + "\ndef test_one():\n    pytest.skip('no torch')\n\ndef test_two():\n    assert True\n",
    "tests/avatar/net/test_expecting_a_failure.py": PATHS
    + "\n@pytest.mark.xfail(strict=True)\ndef test_one():\n    assert False\n",
    "tests/avatar/net/test_failing_at_length.py": PATHS
    + "\ndef test_one():\n    assert True\n\n@pytest.mark.slow\ndef test_two():\n    assert False\n",
}


class Checkout:
    """A copy of the plugin, and a few cached modules; `module` is one of them."""

    def __init__(self, folder: Path, files: Mapping[str, str], module: str) -> None:
        self.folder = folder
        self.module = module
        for name, text in files.items():
            self.write(name, text)
        for name in ("cached_results.py", "function_calls.py", "import_reach.py", "opened_files.py"):
            self.write(f"tests/support/{name}", (SUPPORT / name).read_text())

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def change(self, name: str, old: str, new: str) -> None:
        path = self.folder / name
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    def run(self, *arguments: str) -> str:
        """Returns what pytest prints."""
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
        done = subprocess.run(command, cwd=self.folder, env=QUICK, capture_output=True, text=True)
        return done.stdout + done.stderr

    def run_short(self) -> str:
        """Runs as `make test` does."""
        return self.run("-m", "not slow", "--only-changed", str(Path(self.module).parent))

    @property
    def key(self) -> str:
        inputs = Inputs(self.folder)
        module = self.folder / self.module
        named = frozenset(re.findall(r"cached\((.*)\)", module.read_text()))
        names = frozenset(re.findall(r"'([^']+)'", " ".join(named)))
        return inputs.key_of(module, inputs.of(module, names))

    def commit(self) -> None:
        git = ["git", "-c", "user.name=Test", "-c", "user.email=test@localhost"]
        for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "tree"]):
            subprocess.run([*git, *arguments], cwd=self.folder, check=True)

    @property
    def record(self) -> dict[str, CachedResult]:
        return read_record(self.folder / RECORD)


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path, TREE, MODULE)


def test_a_matrix_runs_until_it_passed_and_again_when_its_engine_has_changed(checkout: Checkout) -> None:
    assert "2 passed, 1 deselected" in checkout.run_short()
    run = checkout.record[MODULE]
    assert (run.key, run.tests, run.result) == (checkout.key, 2, "passed")

    printed = checkout.run_short()
    assert "3 deselected" in printed and "passed" not in printed.splitlines()[-1]
    assert f"{MODULE}: unchanged since {run.date}" in printed

    checkout.change("avatar/src/avatar/engines/layer.py", "2 * sample", "3 * sample")
    for _ in range(2):
        assert "2 failed, 1 deselected" in checkout.run_short()
        assert checkout.record[MODULE] == run

    checkout.change("avatar/src/avatar/engines/layer.py", "3 * sample", "sample * 2")
    assert "2 passed, 1 deselected" in checkout.run_short()
    assert checkout.record[MODULE].key == checkout.key != run.key


def test_without_the_option_unchanged_matrices_run_too(checkout: Checkout) -> None:
    for _ in range(2):
        assert "3 passed" in checkout.run("tests/avatar")
    assert checkout.record[MODULE].tests == 3


def test_only_modules_of_which_all_tests_passed_are_recorded(checkout: Checkout) -> None:
    for name, text in OTHERS.items():
        checkout.write(name, text)
    checkout.run("tests/avatar")
    assert set(checkout.record) == {MODULE, "tests/avatar/net/test_expecting_a_failure.py"}


def test_a_module_of_a_cached_room_needs_no_mark_and_runs_when_a_folder_of_the_room_changed(
    checkout: Checkout,
) -> None:
    plain = "tests/lab/test_plain.py"
    checkout.write("personas/nova.json", "{}")
    checkout.write(plain, "def test_one():\n    assert True\n")
    plugin = (SUPPORT / "room_inputs.py").read_text()
    checkout.write("tests/support/program_inputs.py", (SUPPORT / "program_inputs.py").read_text())
    rooms = 'ROOM_INPUTS = {"lab": ("avatar", "personas")}'
    checkout.write(
        "tests/support/room_inputs.py", re.sub(r"ROOM_INPUTS = .*?\n}", rooms, plugin, flags=re.DOTALL)
    )
    checkout.change("tests/conftest.py", "import cached_results", "import cached_results\nimport room_inputs")
    register = "config.pluginmanager.register"
    checkout.change("tests/conftest.py", f"{register}(", f"{register}(room_inputs)\n    {register}(")
    checkout.commit()
    changes = (("personas/nova.json", '{"name": 1}'), ("avatar/src/avatar/engines/other.py", "NAME = ''"))
    for name, text in changes:
        assert "1 passed" in checkout.run("--only-changed", "tests/lab")
        assert "1 deselected" in checkout.run("--only-changed", "tests/lab")
        checkout.write(name, text)
    assert "1 passed" in checkout.run("--only-changed", "tests/lab")
    checkout.write("tests/soundstage/test_plain.py", "def test_one():\n    assert True\n")
    for _ in range(2):
        assert "1 passed" in checkout.run("--only-changed", "tests/soundstage")


def test_parts_of_a_matrix_record_nothing(checkout: Checkout) -> None:
    assert "1 passed" in checkout.run("-k", "1", MODULE)
    assert "2 passed" in checkout.run(f"{MODULE}::test_forward")
    assert checkout.record == {}


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("avatar/src/avatar/engines/net.py", "(sample)", "(sample + 0)"),
        ("avatar/src/avatar/engines/layer.py", "2", "3"),
        ("avatar/src/avatar/engines/__init__.py", "", "NAME = 1\n"),
        ("avatar/src/avatar/late.py", "3", "5"),
        ("avatar/src/avatar/named.py", "4", "5"),
        ("tests/avatar/net/figures.txt", "4\n", "4"),
        ("tests/avatar/net/cases.py", "'figures.txt'", "'./figures.txt'"),
        ("tests/avatar/conftest.py", "HERE = ", "THERE = HERE = "),
        ("tests/conftest.py", "return PLACE", "return [PLACE]"),
        ("tests/conftest.py", '"here"', '"there"'),
        (MODULE, "[1, 2]", "[1, 3]"),
        (LOCK, "version = 1", "version = 2"),
    ],
)
def test_a_change_in_what_it_depends_on_changes_its_key(
    checkout: Checkout, name: str, old: str, new: str
) -> None:
    before = checkout.key
    assert checkout.key == before
    checkout.change(name, old, new)
    assert checkout.key != before


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("avatar/src/avatar/engines/other.py", "'other'", "'another'"),
        ("avatar/src/avatar/engines/net.py", "A network.", "A network of one layer."),
        ("avatar/src/avatar/engines/layer.py", "return", "# Once more.\n    return"),
        ("tests/conftest.py", "OBJECTS = 700", "OBJECTS = 900"),
        ("tests/conftest.py", "gc.set_threshold(OBJECTS)", "gc.disable()"),
    ],
)
def test_a_change_elsewhere_or_in_words_does_not(checkout: Checkout, name: str, old: str, new: str) -> None:
    before = checkout.key
    checkout.change(name, old, new)
    assert checkout.key == before


@pytest.mark.parametrize("damaged", ["", "{", "[]", f'{{"{MODULE}": {{"key": 1}}}}', "\udcff"])
def test_a_damaged_record_is_none(tmp_path: Path, damaged: str) -> None:
    path = tmp_path / "cached_results.json"
    path.write_bytes(damaged.encode(errors="surrogateescape"))
    assert read_record(path) == {}
    assert read_record(tmp_path / "missing.json") == {}


def test_the_commit_is_recorded_and_that_files_differ_from_it(checkout: Checkout) -> None:
    checkout.commit()
    checkout.run("tests/avatar")
    commit = checkout.record[MODULE].commit
    assert len(commit) == 10
    checkout.change("avatar/src/avatar/engines/layer.py", "2 * sample", "sample * 2")
    checkout.run("tests/avatar")
    assert checkout.record[MODULE].commit == f"{commit}+"


JOURNEY = "tests/ansible/test_farm.py"
# A path that no string of the code names.
UNSEEN = '"/".join(("lab", "other.txt"))]'
JOURNEYS = {
    "pyproject.toml": TREE["pyproject.toml"],
    "uv.lock": "version = 1\n",
    "ansible/roles/nomad/main.yml": "- name: Install\n",
    "ansible/roles/nomad/install.sh": "exit 0\n",
    "ansible/roles/consul/main.yml": "- name: Install\n",
    "ansible/roles/README.md": "Roles 1\n",
    "lab/machines.txt": "1\n",
    "lab/other.txt": "1\n",
    "tests/conftest.py": SHARED,
    "tests/ansible/conftest.py": """
import subprocess

import pytest


@pytest.fixture(scope="session")
def machines():
    subprocess.run(["cat", "lab/machines.txt"], check=True)
""",
    JOURNEY: """
import subprocess

import pytest

pytestmark = [pytest.mark.cached('ansible', 'lab/machines.txt')]


def test_role(machines):
    subprocess.run(["unshare", "--mount", "cat", "ansible/roles/nomad/main.yml"], check=True)


@pytest.mark.smoke
def test_short():
    assert True
""",
}


@pytest.fixture
def journey(tmp_path: Path) -> Checkout:
    checkout = Checkout(tmp_path / "one", JOURNEYS, JOURNEY)
    checkout.commit()
    return checkout


def test_a_journey_runs_when_a_role_changed_and_its_smoke_test_always(journey: Checkout) -> None:
    assert "2 passed" in journey.run_short()
    printed = journey.run_short()
    assert "1 passed, 1 deselected" in printed and f"{JOURNEY}: unchanged since" in printed
    journey.change("ansible/roles/consul/main.yml", "Install", "Install it")
    assert "2 passed" in journey.run_short()
    journey.change("ansible/roles/consul/main.yml", "Install it", "Install")
    journey.write("ansible/roles/nomad/more.yml", "- name: Not added to git yet\n")
    assert "2 passed" in journey.run_short()


def test_a_journey_of_which_only_a_program_changed_waits_for_the_run_of_changed_ones(
    journey: Checkout,
) -> None:
    def run_own(*options: str) -> str:
        return journey.run("--only-changed", *options, "tests/ansible")

    journey.change(JOURNEY, "'lab/machines.txt')", "'lab/machines.txt', own=('ansible',))")
    assert "2 passed" in run_own("--own-room")
    journey.change("lab/machines.txt", "1", "2")
    printed = run_own("--own-room")
    assert "1 passed, 1 deselected" in printed and f"{JOURNEY}: its programs changed since" in printed
    assert "2 passed" in run_own()
    for name, old, new in (
        ("ansible/roles/consul/main.yml", "Install", "Install it"),
        (JOURNEY, "assert True", "assert 1"),
    ):
        journey.change(name, old, new)
        assert "2 passed" in run_own("--own-room")

    journey.change("lab/machines.txt", "2", "3")
    journey.change(JOURNEY, 'nomad/main.yml"]', 'nomad/none.yml"]')
    assert "1 failed, 1 passed" in run_own("--own-room")
    journey.change(JOURNEY, 'nomad/none.yml"]', 'nomad/main.yml"]')
    assert "2 passed" in run_own("--own-room"), "it failed, and runs until it has passed"


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        # No string of the code names this file: the key holds it by the folder of the mark.
        ("ansible/roles/consul/main.yml", "Install", "Install it"),
        ("ansible/roles/nomad/main.yml", "Install", "Install it"),
        ("lab/machines.txt", "1", "2"),
        ("tests/ansible/conftest.py", "check=True", "check=False"),
        ("uv.lock", "1", "2"),
        (JOURNEY, "assert True", "assert 1"),
    ],
)
def test_a_change_in_what_a_journey_reads_changes_its_key(
    journey: Checkout, name: str, old: str, new: str
) -> None:
    before = journey.key
    journey.change(name, old, new)
    assert journey.key != before
    journey.change(name, new, old)
    journey.change("lab/other.txt", "1", "2")
    journey.change("ansible/roles/README.md", "1", "2")
    assert journey.key == before


def test_a_file_that_was_removed_renamed_or_made_a_program_changes_the_key(journey: Checkout) -> None:
    keys = [journey.key]
    script = journey.folder / "ansible/roles/nomad/install.sh"
    script.chmod(0o755)
    keys.append(journey.key)
    script.rename(script.with_name("setup.sh"))
    keys.append(journey.key)
    script.with_name("setup.sh").unlink()
    keys.append(journey.key)
    assert len(set(keys)) == len(keys)


def test_the_key_is_the_same_in_another_place_at_another_time_for_others(
    journey: Checkout, tmp_path: Path
) -> None:
    before = os.umask(0o077)
    try:
        subprocess.run(["git", "clone", "-q", journey.folder, tmp_path / "elsewhere" / "two"], check=True)
    finally:
        os.umask(before)
    other = Checkout(tmp_path / "elsewhere" / "two", {}, JOURNEY)
    assert (other.folder / "lab/machines.txt").stat().st_mode & 0o777 == 0o600
    os.utime(other.folder / "lab/machines.txt", (0, 0))
    assert other.key == journey.key


@pytest.mark.parametrize("opens", ["test_role", "machines"])
def test_a_file_that_a_journey_opens_outside_of_its_key_is_named_and_nothing_is_recorded(
    journey: Checkout, opens: str
) -> None:
    assert "2 passed" in journey.run("--check-inputs", "tests/ansible")
    recorded = journey.record
    name, old = {
        "test_role": (JOURNEY, "ansible/roles/nomad/main.yml"),
        "machines": ("tests/ansible/conftest.py", "lab/machines.txt"),
    }[opens]
    journey.change(name, f'"{old}"]', UNSEEN)
    printed = journey.run("--check-inputs", "tests/ansible")
    assert "opened, but not in the key: not recorded" in printed
    assert f"{JOURNEY}: lab/other.txt" in printed
    assert journey.record == recorded


def test_a_run_with_files_outside_of_the_key_fails(journey: Checkout) -> None:
    journey.change(JOURNEY, '"ansible/roles/nomad/main.yml"]', UNSEEN)
    command = [sys.executable, "-m", "pytest", "--check-inputs", "tests/ansible"]
    assert subprocess.run(command, cwd=journey.folder, env=QUICK, capture_output=True).returncode == 1


def test_an_input_that_does_not_exist_is_an_error(journey: Checkout) -> None:
    journey.change(JOURNEY, "'ansible'", "'ansibel'")
    assert "git has no ansibel, which `cached` names" in journey.run_short()


def test_without_git_a_journey_always_runs(journey: Checkout) -> None:
    shutil.rmtree(journey.folder / ".git")
    for _ in range(2):
        assert "2 passed" in journey.run_short()
    assert journey.record == {}


def test_every_recorded_module_is_cached_and_exists() -> None:
    for name in json.loads((ROOT / RECORD).read_text()):
        room = Path(name).parts[1]
        marked = re.search(r"mark\.(torch|cached)\b", (ROOT / name).read_text())
        assert marked or room in ROOM_INPUTS, name


def test_a_matrix_of_this_room_reaches_its_figures_its_networks_and_their_list_of_weights() -> None:
    inputs = Inputs(ROOT).of(ROOT / "tests" / "avatar" / "parity" / "test_latentsync.py")
    names = {str(path.relative_to(ROOT)) for path in inputs.files}
    assert {
        "tests/avatar/parity/latentsync.npz",
        "tests/avatar/parity/latentsync_cases.py",
        "avatar/src/avatar/engines/latentsync/attention.py",
        "avatar/src/avatar/engines/weights/manifest.py",
        "avatar/src/avatar/models.toml",
    } <= names
    assert not any(name.startswith(("avatar/src/avatar/pipeline", "avatar/src/avatar/cli")) for name in names)
