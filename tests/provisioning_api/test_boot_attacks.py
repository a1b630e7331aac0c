"""What somebody may try between a network boot and a written disk; docs/attacks.md has a line for each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from ramdisk import Ramdisk, random_mac
from test_attacks import accept, refused

from app.provisioning import ProvisioningProcess
from provisioning_api.artefacts.manifest import verify_manifest
from soundstage.errors import Forbidden


@pytest.fixture
async def published(operator: httpx.AsyncClient, settings: Any) -> Path:
    folder: Path = settings.artefacts_folder
    folder.mkdir(parents=True)  # noqa: ASYNC240
    (folder / "vmlinuz").write_bytes(b"kernel")
    (folder / "agent.cpio.zst").write_bytes(b"ramdisk")
    (await operator.post("/api/artefacts/publish")).raise_for_status()
    return folder


async def test_a_manifest_that_is_not_signed_by_us_is_refused(
    published: Path, machine_client: httpx.AsyncClient, process: ProvisioningProcess
) -> None:
    content = (await machine_client.get("/boot/manifest.json")).content
    signature = (await machine_client.get("/boot/manifest.json.sig")).text
    key = process.services.artefacts.public_key
    assert verify_manifest(content, signature, key).find("vmlinuz")
    other = Ed25519PrivateKey.generate().sign(content).hex()
    for manifest, sign in (
        (content, other),
        (content, ""),
        (content.replace(b"vmlinuz", b"vmlinux"), signature),
    ):
        with pytest.raises(Forbidden, match="not signed"):
            verify_manifest(manifest, sign, key)


async def test_what_was_not_published_is_not_served(
    published: Path, machine_client: httpx.AsyncClient, tmp_path: Path
) -> None:
    (published / "later").write_bytes(b"x")
    secret = tmp_path / "secret"
    secret.write_bytes(b"PRIVATE")
    (published / "link").symlink_to(secret)
    for name in ("later", "link"):
        refused(await machine_client.get(f"/boot/artefacts/{name}"), 404, "artefact.not_found")
    (published / "vmlinuz").unlink()
    (published / "vmlinuz").symlink_to(secret)
    assert (await machine_client.get("/boot/artefacts/vmlinuz")).status_code == 404


async def test_a_machine_that_boots_twice_is_written_once(
    published: Path, operator: httpx.AsyncClient, ramdisk: Ramdisk, machine_client: httpx.AsyncClient
) -> None:
    async def script() -> str:
        return (await machine_client.get(f"/boot/{ramdisk.macs[0]}.ipxe")).text

    assert "soundstage.task=inventory" in await script()
    await ramdisk.discover()
    assert "soundstage.task=inventory" in await script()
    refused(
        await ramdisk.call("write"),
        403,
        "enrolment.not_claimed",
    )
    await accept(operator, ramdisk)
    assert "soundstage.task=deploy" in await script()
    assert "soundstage.card=${netX/mac} " in await script()
    token = await ramdisk.token()
    granted = await ramdisk.call("write")
    assert granted.raise_for_status().json()["acceptance"] == 1
    assert "sanboot" in await script() and "deploy" not in await script()
    again = await ramdisk.call("write")
    refused(again, 409, "machine.bad_transition")
    (await ramdisk.enrol(token)).raise_for_status()
    assert "deploy" not in await script()


async def test_no_boot_script_holds_a_token_and_none_that_is_unknown_writes(
    published: Path, operator: httpx.AsyncClient, ramdisk: Ramdisk, machine_client: httpx.AsyncClient
) -> None:
    await accept(operator, ramdisk)
    token = await ramdisk.token()
    script = (await machine_client.get(f"/boot/{ramdisk.macs[0]}.ipxe")).text
    assert token not in script and "token" not in script
    stranger = (await machine_client.get(f"/boot/{random_mac()}.ipxe")).text
    assert "task=inventory" in stranger and "panic=" in stranger, "nobody stands beside it to start it again"


async def test_a_disk_is_wiped_only_on_the_way_out_and_only_if_it_was_really_empty(
    operator: httpx.AsyncClient, machine_client: httpx.AsyncClient
) -> None:
    ramdisk = Ramdisk(machine_client, hardware={"disks": [{"name": "sda", "bytes": 1000}]})
    await accept(operator, ramdisk)
    (await ramdisk.enrol(await ramdisk.token())).raise_for_status()
    wiped = {"name": "sda", "bytes": 1000, "method": "discard", "samples": 64, "dirty": 0}

    async def report(**changed: Any) -> httpx.Response:
        return await ramdisk.call("report", {"wiped": [{**wiped, **changed}]})

    refused(await report(), 409, "retire.not_wiping")
    refused(
        await operator.post("/api/machines/node1/retire", json={"confirm": "node2"}),
        422,
        "retire.not_confirmed",
    )
    retiring = await operator.post("/api/machines/node1/retire", json={"confirm": "node1"})
    assert retiring.json()["state"] == "draining"
    assert (await ramdisk.claim()).json()["next"] == "wipe"
    assert (await report(dirty=1)).json()["state"] == "wipe_unverified"
    machine = (await operator.get("/api/machines/node1")).json()
    assert "still hold something" in machine["cause"]
    await operator.post("/api/machines/node1/retire", json={"confirm": "node1"})
    assert (await report()).json()["state"] == "retired"
