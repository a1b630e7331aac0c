"""Renders the preseed of one machine for Debian's installer, where that is published; called by the boot
service.
"""

from __future__ import annotations

import hashlib

from pydantic import ValidationError

from provisioning_api.artefacts.service import ArtefactService
from provisioning_api.machines.hardware import Hardware
from provisioning_api.machines.models import Machine
from pxe.installer.plan import InstallerSettings, InstallPlan, ReportedDisk, choose_disk
from pxe.installer.preseed import render_preseed
from pxe.installer.ramdisk import SETTINGS
from soundstage.errors import Conflict


def machine_preseed(machine: Machine, artefacts: ArtefactService) -> str:
    """Renders the preseed. Raises NotFound when the installer is not published, Conflict when it cannot
    install this machine.
    """
    settings = _settings(artefacts)
    hardware = Hardware.model_validate(machine.hardware or {})
    disks = [ReportedDisk(one.name, one.bytes, one.serial) for one in hardware.disks]
    disk = choose_disk(disks, settings.least_disk_bytes)
    return render_preseed(InstallPlan(name=machine.name, disk=disk, settings=settings))


def _settings(artefacts: ArtefactService) -> InstallerSettings:
    path = artefacts.path(SETTINGS)
    content = path.read_bytes()
    manifest = artefacts.manifest()
    signed = manifest.find(SETTINGS) if manifest is not None else None
    if signed is None or hashlib.sha256(content).hexdigest() != signed.sha256:
        raise Conflict(
            "installer.not_as_published",
            f"{SETTINGS} was changed after it was published.",
            "Look at what has changed in the folder of the artefacts, then `soundstage machines publish`.",
        )
    try:
        return InstallerSettings.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "it"
        raise Conflict(
            "installer.bad_settings",
            f"{SETTINGS} cannot be used: {where}: {first['msg']}",
            "Correct it, then `soundstage machines publish`.",
        ) from error
