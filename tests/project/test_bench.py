"""`scripts/bench NAME` starts every program of bench/, and none of them hides a package of ours."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {path.parent.name for path in ROOT.glob("*/__init__.py")} | {"avatar", "ansible"}


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([ROOT / "scripts/bench", *arguments], capture_output=True, text=True, check=False)


def test_no_program_is_named_like_a_package() -> None:
    # A program's own folder comes first on sys.path: bench/agent.py broke `import agent` for all.
    assert {path.stem for path in ROOT.glob("bench/*.py")} & PACKAGES == set()


def test_all_programs_are_listed_with_what_they_do() -> None:
    listed = {line.split()[0]: line.split(maxsplit=1)[1] for line in bench().stdout.splitlines()[1:]}
    programs = [*ROOT.glob("bench/*.py"), *ROOT.glob("bench/parity/*.py")]
    assert listed.keys() == {str(path.relative_to(ROOT / "bench"))[:-3] for path in programs}
    assert all(len(what) > 20 for what in listed.values())


def test_a_program_starts_in_its_environment() -> None:
    control, worker = bench("agent_load", "--help"), bench("look")
    assert (control.returncode, "--sessions" in control.stdout) == (0, True), control.stderr
    assert "ModuleNotFoundError" not in worker.stderr


def test_an_unknown_program_is_refused() -> None:
    for name in ("nope", "../scripts/setup"):
        refused = bench(name)
        assert refused.returncode == 2
        assert "scripts/bench lists them" in refused.stderr


@pytest.mark.slow
@pytest.mark.parametrize("program", sorted(path for path in (ROOT / "bench").rglob("*.py")), ids=str)
def test_every_program_that_takes_options_starts(program: Path) -> None:
    written = program.read_text(encoding="utf-8")
    if "ArgumentParser(" not in written or "__main__" not in written:
        pytest.skip("no program that takes options")
    named = program.relative_to(ROOT / "bench").with_suffix("")
    started = bench(str(named), "--help")
    if "scripts/torch_environment" in started.stderr:
        pytest.skip("needs PyTorch: scripts/torch_environment")
    assert started.returncode == 0 and "--help" in started.stdout, started.stderr
