"""A failed test that passes when it runs again is named, and no longer counts in the closing line."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
REPORT = """<testsuites><testsuite name="farm" tests="3" failures="1" errors="1" skipped="0" time="1.5">
<testcase name="test_a_card_vanishes"><failure message="too late">…</failure></testcase>
<testcase name="test_a_node_starts"><error message="no port">…</error></testcase>
<testcase name="test_that_held"/></testsuite></testsuites>"""


def script(name: str, *arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, ROOT / "scripts" / name, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_failed_and_broken_tests_are_named_with_their_room(tmp_path: Path) -> None:
    (tmp_path / "farm.xml").write_text(REPORT)
    named = script("failed_tests.py", tmp_path / "farm.xml", "farm").stdout.split()
    assert named == ["farm/test_a_card_vanishes", "farm/test_a_node_starts"]


def test_what_passed_again_counts_as_passed_and_nothing_else_does(tmp_path: Path) -> None:
    (tmp_path / "farm.xml").write_text(REPORT)
    before = script("closing_line.py", tmp_path)
    assert (before.returncode, before.stdout.splitlines()[-1]) == (1, "1 passed, 2 failed, 0 skipped")
    assert script("failed_tests.py", "--passed-again", tmp_path / "farm.xml", "farm").returncode == 0
    after = script("closing_line.py", tmp_path)
    assert (after.returncode, after.stdout.splitlines()[-1]) == (0, "3 passed, 0 failed, 0 skipped")
