"""Makes the parts of the GPU role importable: they run on the nodes and belong to no package."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "ansible" / "plugins" / "module_utils"))
sys.path.insert(0, str(Path(__file__).parent))
