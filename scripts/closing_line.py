"""Adds up the JUnit reports of all rooms and prints one closing line; called by scripts/lanes.py."""

import sys
import xml.etree.ElementTree as ET
from pathlib import Path


def main(folder: Path) -> int:
    """Print `== N passed, N failed, N skipped in S s ==`; 1 when something failed or nothing ran."""
    passed = failed = skipped = 0
    seconds = 0.0
    for report in sorted(folder.glob("*.xml")):
        for suite in ET.parse(report).getroot().iter("testsuite"):  # noqa: S314 - our own file
            bad = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
            skip = int(suite.get("skipped", 0))
            failed += bad
            skipped += skip
            passed += int(suite.get("tests", 0)) - bad - skip
            seconds += float(suite.get("time", 0))
    print(f"===== {passed} passed, {failed} failed, {skipped} skipped in {seconds:.1f}s =====")
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
