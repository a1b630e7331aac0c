"""Plain pytest leaves out what takes minutes, a card or PyTorch; whoever asks for it gets it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SUPPORT = Path(__file__).parents[1] / "support"
TESTS = """
import pytest
def test_plain(): pass
@pytest.mark.slow
def test_slow(): pass
@pytest.mark.gpu
def test_on_a_card(): pass
@pytest.mark.torch
def test_torch(): pass
"""
CONFTEST = """
import sys
sys.path.insert(0, {support!r})
import short_form
def pytest_addoption(parser): short_form.add_options(parser)
def pytest_configure(config): config.pluginmanager.register(short_form)
"""


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), {"plain"}),
        (("--long",), {"plain", "slow"}),
        (("-m", "slow or gpu"), {"slow", "on_a_card"}),
        (("-k", "slow or plain"), {"plain"}),
        (("test_marks.py::test_slow",), {"slow"}),
    ],
)
def test_the_short_form_is_what_runs_unless_asked_otherwise(
    tmp_path: Path, arguments: tuple[str, ...], expected: set[str]
) -> None:
    assert ran(tmp_path, *arguments) == expected


def test_tests_of_pytorch_run_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "torch.py").touch()
    assert ran(tmp_path) == {"plain", "torch"}


def ran(folder: Path, *arguments: str) -> set[str]:
    """Runs pytest over one test of each mark and returns which of them passed."""
    (folder / "test_marks.py").write_text(TESTS)
    (folder / "conftest.py").write_text(CONFTEST.format(support=str(SUPPORT)))
    (folder / "pytest.ini").write_text("[pytest]\nmarkers =\n    slow: a\n    gpu: b\n    torch: c\n")
    # Without the plugins that are installed, which take a second to load; PyTorch is not in this environment.
    command = [sys.executable, "-m", "pytest", "-rp", "-p", "no:cacheprovider", *(arguments or (".",))]
    environment = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(folder), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("PASSED ")]
    return {line.rpartition("::test_")[2] for line in lines}
