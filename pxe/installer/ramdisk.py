"""Makes the artefacts of the installer way: Debian's kernel and ramdisk, ours appended to it; called by
`soundstage image installer` and by tests.
"""

from __future__ import annotations

from pathlib import Path

from pxe.image.recipe import FILES as IMAGE_FILES
from pxe.initramfs.ramdisk import Archive, with_trust_anchors
from pxe.installer.plan import InstallerSettings
from soundstage.errors import Unavailable

KERNEL, RAMDISK, SETTINGS = "installer-vmlinuz", "installer-initrd.gz", "installer.json"
_FILES = Path(__file__).parent / "files"
_DEBIAN = Path("/usr/lib/debian-installer/images/13/amd64/text/debian-installer/amd64")
_PLACE = "usr/lib/soundstage"


def installer_artefacts(
    agent: Path,
    settings: InstallerSettings,
    *,
    ca_pem: str,
    manifest_key: str,
    built_at: int,
    debian: Path = _DEBIAN,
) -> dict[str, bytes]:
    """Their contents by name. `debian` is the folder of the netboot installer with `linux` and `initrd.gz`;
    `agent` is built by `pxe.image.agent_program`.
    """
    try:
        kernel, ramdisk = (debian / "linux").read_bytes(), (debian / "initrd.gz").read_bytes()
    except FileNotFoundError as missing:
        raise Unavailable(
            "installer.not_here",
            f"Debian's network installer is not on this computer ({missing.filename}).",
            "On Debian 13 run: apt-get install --no-install-recommends debian-installer-13-netboot-amd64",
        ) from None
    archive = Archive()
    archive.add(f"{_PLACE}/agent", agent.read_bytes(), 0o755)
    for path in sorted(_FILES.iterdir()):
        archive.add(f"{_PLACE}/{path.name}", path.read_bytes(), 0o755)
    for unit in sorted((IMAGE_FILES / "etc/systemd/system").iterdir()):
        archive.add(f"{_PLACE}/units/{unit.name}", unit.read_bytes())
    # Linux unpacks one archive after the other; the next one begins on a multiple of four.
    whole = ramdisk + bytes(-len(ramdisk) % 4) + archive.to_bytes()
    return {
        KERNEL: kernel,
        RAMDISK: with_trust_anchors(whole, ca_pem=ca_pem, manifest_key=manifest_key, built_at=built_at),
        SETTINGS: settings.model_dump_json(indent=1).encode() + b"\n",
    }
