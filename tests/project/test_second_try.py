"""A failed test that passes when it runs again is named, and no longer counts in the closing line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from failed_tests import count_as_passed, failed_tests, report_broken_off

SCRIPTS = Path(__file__).parents[2] / "scripts"
REPORT = """<testsuites><testsuite name="farm" tests="3" failures="1" errors="1" skipped="0" time="1.5">
<testcase name="test_a_card_vanishes"><failure message="too late">…</failure></testcase>
<testcase name="test_a_node_starts"><error message="no port">…</error></testcase>
<testcase name="test_that_held"/></testsuite></testsuites>"""


def closing_line(folder: Path) -> tuple[int, str]:
    command = [sys.executable, SCRIPTS / "closing_line.py", folder]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    return ran.returncode, ran.stdout.splitlines()[-1]


def test_failed_tests_stand_with_their_message_before_the_closing_line(tmp_path: Path) -> None:
    (tmp_path / "farm.xml").write_text(REPORT)
    command = [sys.executable, SCRIPTS / "closing_line.py", tmp_path]
    lines = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
    assert lines[:2] == [
        "FAILED farm/test_a_card_vanishes: too late",
        "FAILED farm/test_a_node_starts: no port",
    ]
    assert len(lines) == 4


def test_failed_and_broken_tests_are_named_with_their_room(tmp_path: Path) -> None:
    report = tmp_path / "farm.xml"
    assert failed_tests(report, "farm") == []
    report.write_text(REPORT)
    assert failed_tests(report, "farm") == ["farm/test_a_card_vanishes", "farm/test_a_node_starts"]


def test_what_passed_again_counts_as_passed_and_nothing_else_does(tmp_path: Path) -> None:
    (tmp_path / "farm.xml").write_text(REPORT)
    assert closing_line(tmp_path) == (1, "1 passed, 2 failed, 0 skipped")
    count_as_passed(tmp_path / "farm.xml")
    assert closing_line(tmp_path) == (0, "3 passed, 0 failed, 0 skipped")


def test_a_room_that_broke_off_counts_as_failed(tmp_path: Path) -> None:
    (tmp_path / "farm.xml").write_text(REPORT)
    count_as_passed(tmp_path / "farm.xml")
    report_broken_off(tmp_path / "lab.xml", "lab", "ended with -9")
    assert closing_line(tmp_path) == (1, "3 passed, 1 failed, 0 skipped")
