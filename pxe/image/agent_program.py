"""The deploy agent, built from `pxe/agent` when its source has changed; called by the build and by tests.

`python3 -m pxe.image.agent_program` builds it and prints where it is, for the role provisioning_api: with
nothing but the standard library.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from pxe.image.folder_cache import build_once, cache_folder
from pxe.image.programs import run_tool
from soundstage.errors import SoundstageError

SOURCE = Path(__file__).parents[1] / "agent"


def agent_program() -> Path:
    """A static program without a C library."""
    digest = hashlib.sha256()
    for path in sorted((*SOURCE.glob("*.go"), SOURCE / "go.mod", SOURCE / "go.sum")):
        if not path.name.endswith("_test.go"):
            digest.update(f"{path.name}\n".encode() + path.read_bytes())
    target = cache_folder() / "agents" / digest.hexdigest()[:16]
    return build_once(target, _build) / "agent"


def _build(staging: Path) -> None:
    run_tool(
        [
            "go",
            "build",
            "-trimpath",
            "-buildvcs=false",
            "-ldflags",
            "-s -w -buildid=",
            "-o",
            staging / "agent",
            ".",
        ],
        doing="Building the deploy agent",
        environment={"CGO_ENABLED": "0", "GOARCH": "amd64", "GOOS": "linux"},
        cwd=SOURCE,
    )


if __name__ == "__main__":
    try:
        print(agent_program())
    except SoundstageError as error:
        sys.exit(str(error))
