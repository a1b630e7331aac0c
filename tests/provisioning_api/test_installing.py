"""Where Debian's installer is published, each machine gets answers of its own, and nobody gets secrets."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from ramdisk import Ramdisk

from soundstage.settings import Settings

Publish = Callable[..., Awaitable[Path]]
DISKS = [{"name": "sda", "bytes": 2 << 40}, {"name": "nvme0n1", "bytes": 256 << 30, "serial": "S3 (X)/1"}]


@pytest.fixture
def publish(settings: Settings, operator: httpx.AsyncClient) -> Publish:
    """The installer with these answers; gives the file of the answers."""

    async def published(**answers: Any) -> Path:
        folder = settings.artefacts_folder
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("installer-vmlinuz", "installer-initrd.gz"):
            (folder / name).write_bytes(b"of Debian")
        (folder / "installer.json").write_text(json.dumps(answers))
        (await operator.post("/api/artefacts/publish")).raise_for_status()
        return folder / "installer.json"

    return published


async def answers_for(client: httpx.AsyncClient, ramdisk: Ramdisk) -> httpx.Response:
    return await client.get(f"/boot/{ramdisk.macs[0].replace(':', '-')}/preseed.cfg")


async def test_a_machine_is_installed_on_the_smallest_disk_that_it_has_reported(
    publish: Publish, ramdisk: Ramdisk, machine_client: httpx.AsyncClient
) -> None:
    await publish(http_proxy="http://10.0.0.9:3142/")
    ramdisk.hardware = {"disks": DISKS}
    (await ramdisk.discover()).raise_for_status()
    answer = (await answers_for(machine_client, ramdisk)).raise_for_status()
    assert "d-i partman-auto/disk string /dev/nvme0n1\n" in answer.text
    assert f"install-begin nvme0n1 {(256 << 30) // 512} S3X1\n" in answer.text
    assert "d-i mirror/http/proxy string http://10.0.0.9:3142/\n" in answer.text
    assert not [word for word in ("token", "PRIVATE", "ssh-ed25519", "Bearer") if word in answer.text]


async def test_without_the_installer_or_the_machine_there_is_nothing(
    publish: Publish, ramdisk: Ramdisk, machine_client: httpx.AsyncClient
) -> None:
    (await ramdisk.discover()).raise_for_status()
    missing = await answers_for(machine_client, ramdisk)
    assert (missing.status_code, missing.json()["code"]) == (404, "artefact.not_found")
    await publish()
    unknown = await machine_client.get("/boot/02-00-00-00-00-99/preseed.cfg")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "machine.not_found")


async def test_a_machine_without_a_disk_for_it_is_refused_with_what_it_has(
    publish: Publish, ramdisk: Ramdisk, machine_client: httpx.AsyncClient
) -> None:
    await publish(least_disk_bytes=1 << 42)
    ramdisk.hardware = {"disks": DISKS}
    (await ramdisk.discover()).raise_for_status()
    refused = await answers_for(machine_client, ramdisk)
    assert (refused.status_code, refused.json()["code"]) == (409, "installer.no_disk")
    assert "nvme0n1 with 262144 MiB" in refused.json()["detail"]


async def test_a_disk_name_that_is_a_command_installs_nothing(
    publish: Publish, ramdisk: Ramdisk, machine_client: httpx.AsyncClient
) -> None:
    await publish()
    ramdisk.hardware = {"disks": [{"name": "sda; reboot", "bytes": 1 << 40}]}
    if (await ramdisk.discover()).is_success:
        refused = await answers_for(machine_client, ramdisk)
        assert (refused.status_code, refused.json()["code"]) == (409, "installer.no_disk")


async def test_answers_that_were_changed_after_they_were_signed_are_not_used(
    publish: Publish, ramdisk: Ramdisk, machine_client: httpx.AsyncClient
) -> None:
    file = await publish()
    ramdisk.hardware = {"disks": DISKS}
    (await ramdisk.discover()).raise_for_status()
    file.write_text(json.dumps({"mirror_host": "mirror.example"}))
    refused = await answers_for(machine_client, ramdisk)
    assert (refused.status_code, refused.json()["code"]) == (409, "installer.not_as_published")


async def test_answers_that_cannot_be_used_are_named(
    publish: Publish, ramdisk: Ramdisk, machine_client: httpx.AsyncClient
) -> None:
    await publish(mirror_host="a mirror; reboot")
    ramdisk.hardware = {"disks": DISKS}
    (await ramdisk.discover()).raise_for_status()
    refused = await answers_for(machine_client, ramdisk)
    assert (refused.status_code, refused.json()["code"]) == (409, "installer.bad_settings")
    assert "mirror_host" in refused.json()["detail"]
