"""Chooses what a machine boots from its state alone, and writes the iPXE script; called by the routes.

Default is the local disk. Nothing here is a secret, and nothing here writes: a script may start a deploy
agent, which then has to prove itself and ask (`/api/agent/write`). Until that agent runs, the boot segment
itself is trusted: stock iPXE checks no signature.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from provisioning_api.machines.states import GuardFacts, MachineState

KERNEL, RAMDISK = "vmlinuz", "agent.cpio.zst"


class BootKind(StrEnum):
    """`local`: its disk; the others start the same ramdisk with another task."""

    LOCAL = "local"
    INVENTORY = "inventory"
    DEPLOY = "deploy"
    WIPE = "wipe"


@dataclass(frozen=True, slots=True)
class Place:
    """The addresses for a machine: the plain port serves artefacts, the TLS port everything else."""

    plain: str
    tls: str


@dataclass(frozen=True, slots=True)
class Places:
    """The URLs by which machines reach us, from settings or from the request."""

    public_url: str | None
    tls_port: int

    def place(self, host: str, port: int | None) -> Place:
        """`host` and `port` as the machine asked; the settings know better when they say something."""
        if self.public_url is not None:
            host = urlsplit(self.public_url).hostname or host
            host = f"[{host}]" if ":" in host else host
            plain = self.public_url.rstrip("/")
        else:
            plain = f"http://{host}" if port in (None, 80) else f"http://{host}:{port}"
        return Place(plain, f"https://{host}:{self.tls_port}")


def boot_kind(
    state: MachineState | None, guard_facts: GuardFacts, *, wiping: bool, has_ramdisk: bool
) -> BootKind:
    """`state` is None for an unknown machine. A disk is only ever touched after an acceptance."""
    if not has_ramdisk:
        return BootKind.LOCAL
    match state:
        case None | MachineState.DISCOVERED:
            return BootKind.INVENTORY
        case MachineState.ACCEPTED if guard_facts.may_be_written:
            return BootKind.DEPLOY
        case MachineState.DRAINING if wiping:
            return BootKind.WIPE
        case _:
            return BootKind.LOCAL


def boot_script(kind: BootKind, place: Place) -> str:
    """The iPXE script."""
    return _LOCAL if kind is BootKind.LOCAL else _ramdisk(kind, place)


def first_script(place: Place) -> str:
    """Returns what DHCP names as boot file for every machine: it asks for the script of this very machine."""
    lines = (
        "#!ipxe",
        f"chain --autofree {place.plain}/boot/${{net0/mac:hexhyp}}.ipxe || goto disk",
        ":disk",
        *_LOCAL.splitlines()[1:],
    )
    return "\n".join(lines) + "\n"


# `exit 1` hands on to the next boot entry on UEFI, where a plain `exit` counts as success and opens a menu.
# A BIOS machine boots its first disk from here.
_LOCAL = """\
#!ipxe
echo Soundstage: this machine boots from its disk
iseq ${platform} efi && exit 1 ||
sanboot --no-describe --drive 0x80 || exit 1
"""


def _ramdisk(kind: BootKind, place: Place) -> str:
    files = f"{place.plain}/boot/artefacts"
    # UEFI kernels find their ramdisk by name; a kernel without it would panic for want of a root.
    words = f"soundstage.api={place.tls} soundstage.files={place.plain} soundstage.task={kind}"
    # The card that iPXE came over: of several, it is the one that leads here.
    words += " soundstage.card=${netX/mac}"
    # It runs unattended: after a panic it restarts, and asks what to boot.
    options = f"initrd={RAMDISK} {words} panic=10 console=tty0 console=ttyS0"
    lines = (
        "#!ipxe",
        f"echo Soundstage: {kind}",
        f"kernel {files}/{KERNEL} {options} || goto disk",
        f"initrd --name {RAMDISK} {files}/{RAMDISK} || goto disk",
        "boot || goto disk",
        ":disk",
        *_LOCAL.splitlines()[1:],
    )
    return "\n".join(lines) + "\n"
