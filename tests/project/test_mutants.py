"""The program of bench/ that mutates covered lines: what it changes, and that it restores the tree."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from bench.mutants import Mutant, Result, _environment, mutants_of, run_mutant, sample_mutants

SOURCE = b'''"""A module."""

from __future__ import annotations

LIMIT: int = 3


def fits(size: int, name: str | None = None) -> bool:
    """Returns whether it fits."""
    if size <= LIMIT and name is not None:
        return size + 1 > 2 or not name
    print(f"{size} is \xc3\xa4lter", "\xc3\xa4", LIMIT + 1)
    return False
'''


def changes(kind: str) -> set[tuple[str, str]]:
    return {(one.before, one.after) for one in mutants_of("m.py", SOURCE) if one.kind == kind}


def test_expressions_and_statements_change_and_types_and_docstrings_do_not() -> None:
    assert changes("comparison") == {
        ("size <= LIMIT", "(size < LIMIT)"),
        ("name is not None", "(name is None)"),
        ("size + 1 > 2", "(size + 1 >= 2)"),
    }
    assert ("size + 1", "(size - 1)") in changes("operator")
    assert ("not name", "(name)") in changes("not")
    assert ("return False", "return None") in changes("return")
    assert {after for _, after in changes("call")} == {"pass"}
    assert not [
        one for one in mutants_of("m.py", SOURCE) if "Returns" in one.before and one.kind == "constant"
    ]
    assert not [one for one in mutants_of("m.py", SOURCE) if one.before == "int"]


@pytest.mark.parametrize(
    "mutant", list(mutants_of("m.py", SOURCE)), ids=lambda one: f"{one.kind}-{one.before[:20]}"
)
def test_every_mutant_can_be_parsed_and_differs(mutant: Mutant) -> None:
    changed = SOURCE[: mutant.start] + mutant.after.encode() + SOURCE[mutant.end :]
    assert ast.dump(ast.parse(changed)) != ast.dump(ast.parse(SOURCE))


def test_the_same_seed_draws_the_same_lines_and_only_covered_ones(tmp_path: Path) -> None:
    (tmp_path / "room").mkdir()
    (tmp_path / "room/m.py").write_bytes(SOURCE)
    tests = {"room/m.py": {10: ["test_a"], 11: ["test_a"]}, "other/m.py": {10: ["test_a"]}}
    drawn = sample_mutants(tmp_path, ["room"], tests, 5, seed=1)
    assert sorted(one.line for one in drawn) == [10, 11]
    assert drawn == sample_mutants(tmp_path, ["room"], tests, 5, seed=1)


def verdict_on(tree: Path, line: str, name: str = "test_it", *, conftest: str = "") -> Result:
    """Returns the result of the mutant `size <= 4`, with one test of this line and the named test to run."""
    (tree / "m.py").write_text("def fits(size: int) -> bool:\n    return size < 4\n")
    (tree / "test_m.py").write_text(f"from m import fits\n\n\ndef test_it() -> None:\n    {line}\n")
    (tree / "conftest.py").write_text(conftest)
    (tree / "build/mutants").mkdir(parents=True)
    (tree / ".venv").symlink_to(Path(__file__).parents[2] / ".venv")
    source = (tree / "m.py").read_bytes()
    (mutant,) = [one for one in mutants_of("m.py", source) if one.kind == "comparison"]
    result = run_mutant(tree, mutant, [f"test_m.py::{name}"])
    assert (tree / "m.py").read_bytes() == source
    return result


@pytest.mark.parametrize(
    ("line", "verdict"), [("assert fits(4) is False", "caught"), ("assert fits(9) is False", "missed")]
)
def test_a_mutant_is_caught_by_a_test_that_fails_only_on_it(tmp_path: Path, line: str, verdict: str) -> None:
    assert verdict_on(tmp_path, line).verdict == verdict


def test_a_test_that_fails_on_the_unchanged_file_too_leaves_a_mutant_undecided(tmp_path: Path) -> None:
    assert verdict_on(tmp_path, "assert fits(9)").verdict == "undecided"


def test_a_test_that_pytest_does_not_find_leaves_a_mutant_undecided(tmp_path: Path) -> None:
    result = verdict_on(tmp_path, "assert fits(4) is False", "test_gone[a")
    assert result.verdict == "undecided" and "not found" in result.test


@pytest.mark.parametrize("where", ["conftest", "module"])
def test_a_mutant_that_breaks_the_import_of_the_tests_is_caught(tmp_path: Path, where: str) -> None:
    broken = "from m import fits\nassert not fits(4)\n"
    line = "pass" if where == "conftest" else "pass\n\nassert not fits(4)"
    assert verdict_on(tmp_path, line, conftest=broken if where == "conftest" else "").verdict == "caught"


def test_rooms_whose_helpers_have_one_name_run_apart(tmp_path: Path) -> None:
    names = []
    for room in ("one", "two"):
        folder = tmp_path / "tests" / room
        folder.mkdir(parents=True)
        (folder / "conftest.py").write_text(f"import sys\nsys.path.insert(0, {str(folder)!r})\n")
        (folder / "helper.py").write_text(f"def {room}() -> None: ...\n")
        (folder / f"test_{room}.py").write_text(
            f"from helper import {room}\n\n\ndef test_it() -> None:\n    {room}()\n"
        )
        names.append(f"tests/{room}/test_{room}.py::test_it")
    (tmp_path / "m.py").write_text("def fits(size: int) -> bool:\n    return size < 4\n")
    (tmp_path / "build/mutants").mkdir(parents=True)
    (tmp_path / ".venv").symlink_to(Path(__file__).parents[2] / ".venv")
    (mutant,) = [
        one for one in mutants_of("m.py", (tmp_path / "m.py").read_bytes()) if one.kind == "comparison"
    ]
    assert run_mutant(tmp_path, mutant, names).verdict == "missed"


def test_changed_modules_are_compiled_anew() -> None:
    assert _environment()["PYTHONDONTWRITEBYTECODE"] == "1"
