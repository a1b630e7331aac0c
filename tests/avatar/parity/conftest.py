"""Lets the parity tests import their cases, which the programs in `bench/parity` import too."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
