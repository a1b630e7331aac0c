"""Lets every avatar test import the clip maker of tests/avatar/measure as `clipmaker`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "measure"))
