"""A room's failed tests, as its JUnit report has them, and what becomes of them; for scripts/lanes.py."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

_MARKS = ("failure", "error")
MAX_MESSAGE_CHARS = 200


def failed_tests(report: Path, room: str) -> list[str]:
    """`room/name` of each test that failed or could not be set up; none when there is no whole report."""
    try:
        root = ET.parse(report).getroot()  # noqa: S314 - our own file
    except (FileNotFoundError, ET.ParseError):
        return []
    return list(dict.fromkeys(f"{room}/{case.get('name')}" for case in _failed(root)))


def failures(report: Path, room: str) -> list[str]:
    """Returns one line for each failed test: `FAILED room/name: ` and the first line of its message."""
    root = ET.parse(report).getroot()  # noqa: S314 - our own file
    return [f"FAILED {room}/{case.get('name')}: {_message(case)}" for case in _failed(root)]


def count_as_passed(report: Path) -> None:
    """After a second try that went well."""
    tree = ET.parse(report)  # noqa: S314 - our own file
    for case in _failed(tree.getroot()):
        for mark in [found for name in _MARKS for found in case.findall(name)]:
            case.remove(mark)
    for suite in tree.getroot().iter("testsuite"):
        suite.set("failures", "0")
        suite.set("errors", "0")
    tree.write(report)


def report_broken_off(report: Path, room: str, why: str) -> None:
    """A room that ended without saying what failed counts as one failed test."""
    suites = ET.Element("testsuites")
    count = {"tests": "1", "failures": "0", "errors": "1", "skipped": "0", "time": "0"}
    suite = ET.SubElement(suites, "testsuite", name=room, **count)
    ET.SubElement(ET.SubElement(suite, "testcase", name=room), "error", message=why)
    ET.ElementTree(suites).write(report)


def _message(case: ET.Element) -> str:
    found = next(found for mark in _MARKS for found in case.findall(mark))
    return next(iter((found.get("message") or found.text or "").splitlines()), "")[:MAX_MESSAGE_CHARS]


def _failed(root: ET.Element) -> list[ET.Element]:
    cases = root.iter("testcase")
    return [case for case in cases if any(case.find(mark) is not None for mark in _MARKS)]
