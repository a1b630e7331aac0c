"""Makes `soundstage-health` and the checks of the roles importable: they run on nodes, in no package."""

from __future__ import annotations

import sys
from pathlib import Path

ROLES = Path(__file__).resolve().parents[2] / "ansible" / "roles"
for place in (
    ROLES / "health" / "files" / "health",
    ROLES / "health" / "files",
    ROLES / "gpu" / "files",
    ROLES / "backup" / "files" / "backup",
    ROLES / "models" / "files",
    ROLES / "worker" / "files",
    ROLES.parent / "plugins" / "module_utils",
    Path(__file__).parents[1] / "nomad_fixture",
    Path(__file__).parent,
):
    sys.path.insert(0, str(place))
