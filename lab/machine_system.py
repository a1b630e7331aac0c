"""The thin layer over the root tree that makes a Debian system a machine of the lab (called by `machines`).

Apart from the root tree, so that a change here does not cost a new one.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

from lab.paths import cache_folder
from pxe.image.folder_cache import build_once

_FILES = Path(__file__).parent / "machine_files"
_UNITS = "etc/systemd/system"
# These reach for the computer's own hardware and kernel, which a machine here has no hand in.
_MASKED = ("systemd-modules-load.service", "systemd-udevd.service", "systemd-udev-trigger.service")
_STARTED = {"local-fs.target": "sys-bus-pci-devices.mount"}


def make_machine_system() -> Path:
    """The folder of the layer; written when it is not there yet."""
    return build_once(cache_folder() / "system" / _key(), _write)


def _write(root: Path) -> None:
    for source in sorted(_FILES.rglob("*")):
        place = root / source.relative_to(_FILES)
        if source.is_dir():
            place.mkdir(mode=0o755)
        else:
            shutil.copyfile(source, place)
            place.chmod(0o755 if os.access(source, os.X_OK) else 0o644)
    # The root tree has no package lists; their folder must not look as if they had just been fetched.
    lists = root / "var/lib/apt/lists"
    lists.mkdir(parents=True)
    os.utime(lists, (0, 0))
    for name in _MASKED:
        (root / _UNITS / name).symlink_to("/dev/null")
    for target, unit in _STARTED.items():
        wants = root / _UNITS / f"{target}.wants"
        wants.mkdir(exist_ok=True)
        (wants / unit).symlink_to(f"/{_UNITS}/{unit}")


def _key() -> str:
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for path in sorted(_FILES.rglob("*")):
        if path.is_file():
            name = f"{path.relative_to(_FILES)} {os.access(path, os.X_OK)}\n"
            digest.update(name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]
