"""Names a JUnit report's failed tests, or counts them as passed after a second try; for scripts/test."""

import sys
import xml.etree.ElementTree as ET
from pathlib import Path


def failed(suite: ET.Element) -> list[ET.Element]:
    """The test cases that failed or could not be set up."""
    marks = ("failure", "error")
    return [case for case in suite.iter("testcase") if any(case.find(mark) is not None for mark in marks)]


def main(arguments: list[str]) -> int:
    """`[--passed-again] REPORT ROOM`: print ROOM/test names, or count the failed ones as passed in REPORT."""
    passed_again = arguments[0] == "--passed-again"
    report, room = Path(arguments[-2]), arguments[-1]
    tree = ET.parse(report)  # noqa: S314 - our own file
    for suite in tree.getroot().iter("testsuite"):
        for case in failed(suite):
            if passed_again:
                for mark in [*case.findall("failure"), *case.findall("error")]:
                    case.remove(mark)
            else:
                print(f"{room}/{case.get('name')}")
        if passed_again:
            suite.set("failures", "0")
            suite.set("errors", "0")
    if passed_again:
        tree.write(report)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
