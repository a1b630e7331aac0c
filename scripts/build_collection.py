"""Builds the Ansible collection `soundstage.farm` from roles and plugins of the checkout, without a network.

    ansible/.venv/bin/ansible-galaxy on PATH, then: python scripts/build_collection.py FOLDER

`ansible-galaxy` leaves out links that lead out of a collection, so the files are copied first.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent
PROGRAM = ROOT / "ansible/.venv/bin/ansible-galaxy"
_LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc")


def build(folder: Path) -> Path:
    """Returns the archive in `folder`. Raises CalledProcessError when ansible-galaxy refuses."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    with tempfile.TemporaryDirectory() as name:
        source = Path(name)
        for part in ("roles", "plugins"):
            shutil.copytree(ROOT / "ansible" / part, source / part, ignore=_LEFT_OUT)
        (source / "README.md").write_text((ROOT / "ansible/plugins/README.md").read_text())
        (source / "galaxy.yml").write_text(yaml.safe_dump(metadata(version), sort_keys=False))
        (source / "meta").mkdir()
        (source / "meta/runtime.yml").write_text('---\nrequires_ansible: ">=2.19.0"\n')
        command = [PROGRAM, "collection", "build", source, "--output-path", folder, "--force"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder / f"soundstage-farm-{version}.tar.gz"


def metadata(version: str) -> dict[str, object]:
    """Returns the content of galaxy.yml."""
    return {
        "namespace": "soundstage",
        "name": "farm",
        "version": version,
        "readme": "README.md",
        "authors": ["Soundstage"],
        "description": "Bare machines become a secured Nomad and Consul farm with a provisioning API",
        # The roles are Apache-2.0; the plugins run inside Ansible.
        "license": ["Apache-2.0", "GPL-3.0-or-later"],
        "tags": ["nomad", "consul", "pxe", "infrastructure"],
        "dependencies": {},
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    print(build(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
