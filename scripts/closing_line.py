"""Adds up the JUnit reports of all rooms, names failed tests and prints one closing line."""

import sys
import xml.etree.ElementTree as ET
from pathlib import Path

from failed_tests import failures


def main(folder: Path) -> int:
    """Prints a line for each failed test, then `== N passed, N failed, N skipped in S s ==`.

    Returns 1 when something failed or nothing ran.
    """
    passed = failed = skipped = 0
    seconds = 0.0
    reports = sorted(folder.glob("*.xml"))
    for report in reports:
        for suite in ET.parse(report).getroot().iter("testsuite"):  # noqa: S314 - our own file
            bad = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
            skip = int(suite.get("skipped", 0))
            failed += bad
            skipped += skip
            passed += int(suite.get("tests", 0)) - bad - skip
            seconds += float(suite.get("time", 0))
    # Last, because a CI server may show only the end of the output.
    for line in [line for report in reports for line in failures(report, report.stem)]:
        print(line)
    print(f"===== {passed} passed, {failed} failed, {skipped} skipped in {seconds:.1f}s =====")
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
