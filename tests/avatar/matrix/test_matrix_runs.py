"""Matrices run when what they depend on has changed, and only what passed as a whole is recorded."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from import_reach import ImportReach
from matrix_runs import LOCK, RECORD, MatrixRun, key_of, read_record

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
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

import pytest

PLACE = "here"
OBJECTS = 700


def pytest_configure():
    gc.set_threshold(OBJECTS)


@pytest.fixture(autouse=True)
def place():
    return PLACE
"""
TREE = {
    "pyproject.toml": "[tool.pytest.ini_options]\naddopts = '--import-mode=importlib'\n"
    "markers = ['slow', 'gpu', 'smoke', 'torch']\n",
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
    "tests/avatar/conftest.py": (HERE.parent / "conftest.py")
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
    "tests/avatar/net/test_failing_at_length.py": PATHS
    + "\ndef test_one():\n    assert True\n\n@pytest.mark.slow\ndef test_two():\n    assert False\n",
}


class Checkout:
    """A copy of the plugin, and a network of one multiplication with its matrix."""

    def __init__(self, folder: Path, files: Mapping[str, str]) -> None:
        self.folder = folder
        for name, text in files.items():
            self.write(name, text)
        for name in ("matrix_runs.py", "import_reach.py"):
            self.write(f"tests/avatar/matrix/{name}", (HERE / name).read_text())

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
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True)
        return done.stdout + done.stderr

    def run_short(self) -> str:
        """Runs as `make test` does."""
        return self.run("-m", "not slow", "--matrix=changed", "tests/avatar")

    @property
    def key(self) -> str:
        reach = ImportReach(self.folder)
        return key_of(reach, reach.files_of(self.folder / MODULE))

    @property
    def record(self) -> dict[str, MatrixRun]:
        return read_record(self.folder / RECORD)


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path, TREE)


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
    assert set(checkout.record) == {MODULE}


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
        (str(LOCK), "version = 1", "version = 2"),
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
    path = tmp_path / "matrix_runs.json"
    path.write_bytes(damaged.encode(errors="surrogateescape"))
    assert read_record(path) == {}
    assert read_record(tmp_path / "missing.json") == {}


def test_the_commit_is_recorded_and_that_files_differ_from_it(checkout: Checkout) -> None:
    git = ["git", "-c", "user.name=Test", "-c", "user.email=test@localhost"]
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "tree"]):
        subprocess.run([*git, *arguments], cwd=checkout.folder, check=True)
    checkout.run("tests/avatar")
    commit = checkout.record[MODULE].commit
    assert len(commit) == 10
    checkout.change("avatar/src/avatar/engines/layer.py", "2 * sample", "sample * 2")
    checkout.run("tests/avatar")
    assert checkout.record[MODULE].commit == f"{commit}+"


def test_every_recorded_module_is_a_matrix_that_exists() -> None:
    for name in json.loads((ROOT / RECORD).read_text()):
        assert "mark.torch" in (ROOT / name).read_text(), name


def test_a_matrix_of_this_room_reaches_its_figures_its_networks_and_their_list_of_weights() -> None:
    reached = ImportReach(ROOT).files_of(ROOT / "tests" / "avatar" / "parity" / "test_latentsync.py")
    names = {str(path.relative_to(ROOT)) for path in reached}
    assert {
        "tests/avatar/parity/latentsync.npz",
        "tests/avatar/parity/latentsync_cases.py",
        "avatar/src/avatar/engines/latentsync/attention.py",
        "avatar/src/avatar/engines/weights/manifest.py",
        "avatar/src/avatar/models.toml",
    } <= names
    assert not any(name.startswith(("avatar/src/avatar/pipeline", "avatar/src/avatar/cli")) for name in names)
