"""Machines and the keys that they trust come back from a backup; what was open when it was made does not."""

from __future__ import annotations

import shutil
import stat
import tarfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest
from conftest import at_work
from ramdisk import Ramdisk

from app.archive import MachineState, close_pending, gather, restore, save
from app.composition import build, open_services
from app.provisioning import build_process
from policy.audit.chain import GENESIS, chain_hash
from provisioning_api.audit.models import AuditRecord
from provisioning_api.audit.service import _content
from soundstage.database import utcnow
from soundstage.errors import Conflict
from soundstage.settings import Settings

Make = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture
def settings(tmp_path: Path, project: Path) -> Settings:
    """An installation with both databases where they are by themselves; PostgreSQL has pg_dump."""
    return Settings.model_validate(
        {"state_dir": tmp_path / "state", "provisioning": {"project_dir": project}}
    )


async def made(settings: Settings, target: Path, *, with_keys: bool) -> Path:
    machines = MachineState.of(settings)
    async with open_services(settings) as studio:
        with TemporaryDirectory() as folder:
            contents = await gather(
                studio.database, studio.blobs, studio.own_personas, Path(folder), machines.database
            )
            done = await save(contents.chunks(), target, machines.keys() if with_keys else ())
    return done.path


async def put_back(settings: Settings, archive: Path, *, force: bool = False) -> int:
    """How many machines something was called off for."""
    studio = build(settings)
    try:
        done = await restore(
            studio.database,
            studio.blobs,
            studio.own_personas,
            archive,
            force=force,
            machines=MachineState.of(settings),
        )
    finally:
        await studio.database.close()
    assert done.machines
    return (await close_pending(settings)).machines


def elsewhere(settings: Settings, folder: Path) -> Settings:
    return settings.model_copy(update={"state_dir": folder})


async def test_machines_and_authorities_come_back_and_members_stay_members(
    settings: Settings, operator: httpx.AsyncClient, make_member: Make, tmp_path: Path
) -> None:
    member = await make_member("node1")
    authority = (await operator.get("/api/ca.pem")).text
    archive = await made(settings, tmp_path / "all.tar", with_keys=True)
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600
    back = elsewhere(settings, tmp_path / "back")
    assert await put_back(back, archive) == 0
    keys = back.state_dir / "provisioning" / "keys"
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in keys.iterdir())
    async with at_work(back) as (restored, machine):
        assert (await restored.get("/api/ca.pem")).text == authority
        assert (await restored.get("/api/machines/node1")).json()["state"] == "enrolled"
        called = await machine.post(
            "/api/ready-for-provisioning",
            json={"hostname": "node1", "ip": "10.0.0.7"},
            headers={"Authorization": f"Bearer {member['call_home_token']}"},
        )
        assert called.status_code == 202
        assert (await restored.get("/api/audit/verdict")).json()["broken_at"] is None


async def test_what_was_open_when_the_backup_was_made_is_closed(
    settings: Settings, operator: httpx.AsyncClient, machine_client: httpx.AsyncClient, tmp_path: Path
) -> None:
    waiting, leaving = Ramdisk(machine_client), Ramdisk(machine_client)
    for ramdisk, name in ((waiting, "waiting"), (leaving, "leaving")):
        await ramdisk.discover()
        await operator.post(
            f"/api/machines/{ramdisk.machine_id}/accept", json={"name": name, "code": ramdisk.code}
        )
    token = await waiting.token()
    (await leaving.enrol(await leaving.token())).raise_for_status()
    await operator.post("/api/machines/leaving/retire", json={"confirm": "leaving"})
    archive = await made(settings, tmp_path / "all.tar", with_keys=True)

    back = elsewhere(settings, tmp_path / "back")
    assert await put_back(back, archive) == 2
    async with at_work(back) as (restored, machine):
        waiting.client = leaving.client = machine
        # It was written and enrolled since then, for all that this database knows.
        assert (await restored.get("/api/machines/waiting")).json()["may_be_written"] is False
        assert (await waiting.enrol(token)).json()["code"] == "enrolment.revoked"
        assert (await waiting.claim()).json()["next"] == "wait"
        gone = (await restored.get("/api/machines/leaving")).json()
        assert gone["state"] == "failed" and "retire leaving" in gone["hint"]
        assert (await leaving.claim()).json()["next"] == "boot"
        again = await restored.post("/api/machines/waiting/reject")
        assert again.is_success
        again = await restored.post("/api/machines/waiting/accept", json={"code": waiting.code})
        assert again.json()["may_be_written"] is True


async def test_private_keys_are_in_a_backup_only_when_they_were_asked_for(
    settings: Settings, make_member: Make, tmp_path: Path
) -> None:
    await make_member("node1")
    secrets = [path.read_bytes() for path in (settings.state_dir / "provisioning" / "keys").iterdir()]
    plain = (await made(settings, tmp_path / "plain.tar", with_keys=False)).read_bytes()
    assert not any(secret in plain for secret in secrets)
    with tarfile.open(await made(settings, tmp_path / "keys.tar", with_keys=True)) as archive:
        names = archive.getnames()
    assert {"keys/provisioning/ca.key", "keys/provisioning/ssh_host_ca"} <= set(names)


async def test_other_machines_or_keys_that_are_there_are_not_overwritten(
    settings: Settings, make_member: Make, tmp_path: Path
) -> None:
    await make_member("node1")
    archive = await made(settings, tmp_path / "all.tar", with_keys=True)
    back = elsewhere(settings, tmp_path / "back")
    keys = back.state_dir / "provisioning" / "keys"
    keys.mkdir(parents=True)
    (keys / "ca.key").write_bytes(b"the key of another farm")
    with pytest.raises(Conflict, match="already"):
        await put_back(back, archive)
    assert (keys / "ca.key").read_bytes() == b"the key of another farm"
    await put_back(back, archive, force=True)
    assert (keys / "ca.key.before-restore").read_bytes() == b"the key of another farm"


async def unkeyed_archive(settings: Settings, target: Path) -> Path:
    """A backup whose audit records carry plain hashes, which anybody can compute."""
    process = build_process(settings)
    await process.prepare()
    async with process.database.transaction() as session:
        before = GENESIS
        for number in (1, 2, 3):
            record = AuditRecord(
                number=number,
                at=utcnow(),
                actor="a",
                action="test",
                subject="",
                data={},
                before=before,
                sha256="",
            )
            before = record.sha256 = chain_hash(_content(record))
            session.add(record)
    await process.database.close()
    return await made(settings, target, with_keys=False)


async def test_what_is_closed_before_the_keys_are_back_is_recorded_with_them(
    settings: Settings, operator: httpx.AsyncClient, machine_client: httpx.AsyncClient, tmp_path: Path
) -> None:
    ramdisk = Ramdisk(machine_client)
    await ramdisk.discover()
    await operator.post(
        f"/api/machines/{ramdisk.machine_id}/accept", json={"name": "waiting", "code": ramdisk.code}
    )
    archive = await made(settings, tmp_path / "all.tar", with_keys=False)
    back = elsewhere(settings, tmp_path / "back")
    assert await put_back(back, archive) == 1
    keys = back.state_dir / "provisioning" / "keys"
    assert not (keys / "audit.key").exists(), "a new key would stand in the way of the old one"

    shutil.copytree(settings.state_dir / "provisioning" / "keys", keys, dirs_exist_ok=True)
    for _ in range(2):
        closed = await close_pending(back)
        assert (closed.machines, closed.log.unproven) == (0, 0)
    async with at_work(back) as (restored, _):
        verdict = (await restored.get("/api/audit/verdict")).json()
        records = (await restored.get("/api/audit")).json()
    assert verdict["broken_at"] is None, verdict
    [record] = [one for one in records if one["action"] == "machine.closed"]
    assert record["subject"] == ramdisk.machine_id and record["data"]["name"] == "waiting"
    assert record["data"]["write"] is True and record["data"]["closed_at"] < record["at"]


@pytest.mark.parametrize("accepted", [False, True])
async def test_records_without_a_key_are_accepted_by_a_person_alone_where_a_key_is(
    settings: Settings, tmp_path: Path, accepted: bool
) -> None:
    archive = await unkeyed_archive(settings, tmp_path / "old.tar")
    back = elsewhere(settings, tmp_path / "back")
    keys = back.state_dir / "provisioning" / "keys"
    keys.mkdir(parents=True)
    (keys / "audit.key").write_text("ab" * 32)
    studio = build(back)
    await restore(
        studio.database,
        studio.blobs,
        studio.own_personas,
        archive,
        force=True,
        machines=MachineState.of(back),
    )
    await studio.database.close()
    closed = await close_pending(back, accept_unproven=accepted)
    assert closed.log.unproven == 3
    async with at_work(back) as (restored, _):
        verdict = (await restored.get("/api/audit/verdict")).json()
        records = (await restored.get("/api/audit")).json()
    text = {one["action"]: one["data"].get("unproven") for one in records}
    assert verdict["broken_at"] == 1, verdict
    assert text.get("backup.restored") == (3 if accepted else None)
