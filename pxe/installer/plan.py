"""The validated plan of an installation on one machine, before it becomes a preseed; built by the
provisioning API.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from pydantic import BaseModel, Field

from pxe.image.recipe import PACKAGES
from soundstage.errors import Conflict

SECTOR_BYTES = 512
# A line of a preseed must not be able to begin another one, nor a word of a command another command.
_HOST = r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?"
Host = Annotated[str, Field(pattern=rf"^{_HOST}$")]
Proxy = Annotated[str, Field(pattern=rf"^(http://{_HOST}(:[0-9]{{1,5}})?/?)?$")]
Package = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9+.-]{1,60}$")]
_KERNEL_NAME = re.compile(r"^[a-z][a-z0-9]{1,31}$")
# As `mkpasswd` prints it: yescrypt, SHA-512 or SHA-256. None disables console login.
PasswordHash = Annotated[str, Field(pattern=r"^\$(y|6|5)\$[A-Za-z0-9./$=,]{20,200}$")]
TEMPLATES = Path(__file__).parent / "templates"
# The installer brings these itself, or chooses better.
_LEFT_OUT = {"systemd", "systemd-sysv", "udev", "initramfs-tools", "e2fsprogs"}


class InstallerSettings(BaseModel, extra="forbid", frozen=True):
    """The same for all machines; published beside the installer as `installer.json`, so that the manifest
    signs it.

    `least_disk_bytes`: minimum size; smaller disks are left alone. `console_password_hash` can be read by
    every host on the boot network: leave it out unless consoles need it.
    """

    mirror_host: Host = "deb.debian.org"
    mirror_folder: Annotated[str, Field(pattern=r"^(/[A-Za-z0-9._-]+)+$")] = "/debian"
    http_proxy: Proxy = ""
    suite: Literal["trixie"] = "trixie"
    time_zone: Annotated[str, Field(pattern=r"^[A-Za-z_]+(/[A-Za-z0-9_+-]+){0,2}$")] = "Etc/UTC"
    locale: Annotated[str, Field(pattern=r"^[A-Za-z_.0-9@-]{1,32}$")] = "C.UTF-8"
    keyboard: Annotated[str, Field(pattern=r"^[a-z]{2,8}$")] = "us"
    packages: tuple[Package, ...] = ()
    ssh_user: Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_-]{0,31}$")] = "soundstage"
    console_password_hash: PasswordHash | None = None
    least_disk_bytes: int = Field(4 << 30, ge=1 << 30)


class InstallDisk(BaseModel, extra="forbid", frozen=True):
    """The disk that is overwritten. Its size and serial number (empty: it has none) are compared on the
    machine: the kernel may have given its name to another disk.
    """

    name: Annotated[str, Field(pattern=_KERNEL_NAME)]
    sectors: int = Field(ge=1)
    serial: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{0,200}$")] = ""


class InstallPlan(BaseModel, extra="forbid", frozen=True):
    """One machine."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
    disk: InstallDisk
    settings: InstallerSettings


@dataclass(frozen=True, slots=True)
class ReportedDisk:
    """A disk as the machine's inventory lists it."""

    name: str
    bytes: int
    serial: str = ""


def choose_disk(disks: Iterable[ReportedDisk], min_bytes: int) -> InstallDisk:
    """Returns the smallest disk that is large enough, as the deploy agent chooses: systems go on small disks,
    models on large ones. Raises `installer.no_disk`.
    """
    # Skip names that are not kernel device names: they end up in a command line.
    known = [one for one in disks if _KERNEL_NAME.fullmatch(one.name)]
    known.sort(key=lambda one: (one.bytes, one.name))
    for disk in known:
        if disk.bytes >= min_bytes:
            # `install-begin` leaves the same letters out.
            serial = re.sub(r"[^A-Za-z0-9._-]", "", disk.serial)
            return InstallDisk(name=disk.name, sectors=disk.bytes // SECTOR_BYTES, serial=serial)
    there = ", ".join(f"{one.name} with {one.bytes >> 20} MiB" for one in known) or "none"
    raise Conflict(
        "installer.no_disk",
        f"No disk of this machine holds {min_bytes >> 20} MiB; there are: {there}.",
        "Put a larger one in and boot it again, or lower `least_disk_bytes` of the installer.",
    )


def render_preseed(plan: InstallPlan) -> str:
    """Renders the file for `preseed/url`, with the same packages as an image has.

    It holds no secret: every host on the boot network may read it. What makes the machine a member the agent
    has received over TLS, and puts beside it into the installer's memory.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  no page; the plan lets in what stays one word
    )
    packages = [one for one in (*PACKAGES, *plan.settings.packages) if one not in _LEFT_OUT]
    return environment.get_template("preseed.cfg.j2").render(
        plan=plan.model_dump(mode="json"), packages=list(dict.fromkeys(packages))
    )
