"""What goes wrong ends in a named state, with a hint, and there is a way on; each test goes that way."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import client_of, end_of, eventually, operator_of
from cryptography import x509
from fastapi import FastAPI
from ramdisk import Ramdisk
from sqlalchemy import update
from test_runs import LOCAL

from app.provisioning import ProvisioningProcess, build_process
from provisioning_api.enrolment.models import Enrolment
from provisioning_api.machines.journal import MachineJournal
from provisioning_api.machines.models import Machine
from provisioning_api.reports.service import HINTS
from provisioning_api.stalled import LIMIT, Stalled
from soundstage.database import utcnow
from soundstage.settings import Settings

Make = Callable[..., Awaitable[dict[str, Any]]]
LATER = LIMIT + timedelta(minutes=1)


async def accepted(operator: httpx.AsyncClient, ramdisk: Ramdisk, name: str = "node1") -> None:
    (await ramdisk.discover()).raise_for_status()
    answer = await operator.post(
        f"/api/machines/{ramdisk.machine_id}/accept", json={"name": name, "code": ramdisk.code}
    )
    answer.raise_for_status()


async def at_writing(operator: httpx.AsyncClient, ramdisk: Ramdisk) -> None:
    await accepted(operator, ramdisk)
    await ramdisk.token()
    (await ramdisk.call("write")).raise_for_status()


async def written_and_enrolled(operator: httpx.AsyncClient, ramdisk: Ramdisk) -> None:
    """The whole way once more, after a new yes and a new start."""
    (await operator.post("/api/machines/node1/accept", json={"code": ramdisk.code})).raise_for_status()
    await ramdisk.discover()
    token = await ramdisk.token()
    (await ramdisk.call("write")).raise_for_status()
    (await ramdisk.enrol(token)).raise_for_status()
    assert (await machine_of(operator))["state"] == "enrolled"


async def machine_of(operator: httpx.AsyncClient, name: str = "node1") -> dict[str, Any]:
    found: dict[str, Any] = (await operator.get(f"/api/machines/{name}")).json()
    return found


def stalled(process: ProvisioningProcess) -> Stalled:
    services = process.services
    return Stalled(process.database, MachineJournal(services.events, services.audit))


async def silent_since(process: ProvisioningProcess, ago: timedelta) -> None:
    async with process.database.transaction() as session:
        await session.execute(update(Machine).values(seen_at=utcnow() - ago))


@pytest.mark.parametrize("code", sorted(HINTS))
async def test_what_an_agent_gives_up_for_fails_the_machine_with_its_hint_and_a_new_yes_goes_on(
    operator: httpx.AsyncClient, ramdisk: Ramdisk, code: str
) -> None:
    """Disk too small, disk dies, image corrupt, mirror gone, clock that fits no certificate, ..."""
    await at_writing(operator, ramdisk)
    failure = {"failure": {"code": code, "message": "what the agent saw"}}
    (await ramdisk.call("report", failure)).raise_for_status()
    machine = await machine_of(operator)
    assert (machine["state"], machine["cause"]) == ("failed", f"{code}: what the agent saw")
    assert "soundstage machines accept node1" in machine["hint"] and not machine["may_be_written"]
    await written_and_enrolled(operator, ramdisk)


async def test_a_failure_that_nobody_thought_of_has_a_hint_too(
    operator: httpx.AsyncClient, ramdisk: Ramdisk
) -> None:
    await at_writing(operator, ramdisk)
    failure = {"failure": {"code": "struck_by_lightning", "message": "boom"}}
    await ramdisk.call("report", failure)
    assert "console" in (await machine_of(operator))["hint"]
    await written_and_enrolled(operator, ramdisk)


async def test_a_write_that_never_ends_fails_after_half_an_hour_of_silence(
    operator: httpx.AsyncClient, ramdisk: Ramdisk, process: ProvisioningProcess
) -> None:
    """Power is gone in the middle, and nobody is left to say so."""
    await at_writing(operator, ramdisk)
    await silent_since(process, LIMIT - timedelta(minutes=1))
    await stalled(process).look()
    assert (await machine_of(operator))["state"] == "deploying"
    await silent_since(process, LATER)
    await stalled(process).look()
    machine = await machine_of(operator)
    assert machine["state"] == "failed" and "said nothing" in machine["cause"]
    assert "soundstage machines accept node1" in machine["hint"]
    await written_and_enrolled(operator, ramdisk)


async def test_a_write_that_says_that_it_goes_on_is_not_silent(
    operator: httpx.AsyncClient, ramdisk: Ramdisk, process: ProvisioningProcess
) -> None:
    await at_writing(operator, ramdisk)
    await silent_since(process, LATER)
    (await ramdisk.call("report", {})).raise_for_status()
    await stalled(process).look()
    assert (await machine_of(operator))["state"] == "deploying"


async def test_a_window_that_closed_says_how_to_open_another(
    operator: httpx.AsyncClient, ramdisk: Ramdisk, process: ProvisioningProcess
) -> None:
    await accepted(operator, ramdisk)
    await stalled(process).look()
    assert (await machine_of(operator))["hint"] == ""
    async with process.database.transaction() as session:
        await session.execute(update(Enrolment).values(expires_at=utcnow() - timedelta(seconds=1)))
    await stalled(process).look()
    machine = await machine_of(operator)
    assert machine["state"] == "accepted" and "soundstage machines arm node1 --next" in machine["hint"]
    await operator.post("/api/machines/node1/enrolments", json={"bind": "next"})
    assert (await machine_of(operator))["hint"] == ""
    assert (await ramdisk.enrol(await ramdisk.token())).is_success


async def test_a_first_boot_that_never_calls_home_is_said_and_the_call_still_counts(
    operator: httpx.AsyncClient,
    make_member: Make,
    machine_client: httpx.AsyncClient,
    process: ProvisioningProcess,
) -> None:
    member = await make_member("node1")
    await silent_since(process, LATER)
    await stalled(process).look()
    machine = await machine_of(operator)
    assert machine["state"] == "enrolled" and "called home" in machine["hint"]
    called = await machine_client.post(
        "/api/ready-for-provisioning",
        json={"hostname": "node1", "ip": "127.0.0.1"},
        headers={"Authorization": f"Bearer {member['call_home_token']}"},
    )
    assert called.json()["run_id"] is not None
    assert (await machine_of(operator))["hint"] == ""


async def test_of_two_machines_with_one_uuid_the_second_joins_when_the_first_has_gone(
    operator: httpx.AsyncClient, ramdisk: Ramdisk
) -> None:
    await accepted(operator, ramdisk)
    twin = Ramdisk(ramdisk.client, uuid=ramdisk.uuid)
    await twin.discover()
    refused = await operator.post(
        f"/api/machines/{twin.name}/accept", json={"name": "node2", "code": twin.code}
    )
    assert refused.json()["code"] == "machine.uuid_shared" and refused.json()["hint"]
    assert (await machine_of(operator, twin.name))["state"] == "discovered"
    await operator.post("/api/machines/node1/retire", json={"confirm": "node1", "wipe": False})
    await operator.post(f"/api/machines/{twin.name}/accept", json={"name": "node2", "code": twin.code})
    assert (await twin.enrol(await twin.token())).is_success


async def test_a_clock_at_1970_keeps_nobody_out(
    operator: httpx.AsyncClient, ramdisk: Ramdisk, app: FastAPI
) -> None:
    """Only our clock counts: challenges and tokens hold no time of the machine's, and what it reports is how
    long ago.
    """
    ramdisk.client.headers["Date"] = "Thu, 01 Jan 1970 00:00:42 GMT"
    await at_writing(operator, ramdisk)
    spans = {"spans": [{"name": "stream", "ago_s": 60, "seconds": 50}]}
    await ramdisk.call("report", spans)
    [span] = (await operator.get("/api/machines/node1/timeline")).json()["spans"]
    assert abs(datetime.fromisoformat(span["started_at"]) - (utcnow() - timedelta(seconds=60))) < timedelta(
        minutes=5
    )
    got = (await ramdisk.enrol(await ramdisk.token())).raise_for_status().json()
    certificate = x509.load_pem_x509_certificate(got["certificate"].encode())
    # A clock that is an hour behind already finds it good.
    assert certificate.not_valid_before_utc <= datetime.now(UTC) - timedelta(minutes=59)


async def test_a_playbook_that_fails_on_task_forty_names_it_and_goes_on_from_a_retry(
    operator: httpx.AsyncClient, make_member: Make, run_of: Make, project: Path
) -> None:
    def playbook(fortieth: str) -> str:
        before = "".join(f"    - name: Task {n}\n      ansible.builtin.meta: noop\n" for n in range(1, 40))
        return LOCAL + before + f"    - name: Task 40\n      {fortieth}\n"

    (project / "playbook.yaml").write_text(playbook("ansible.builtin.fail: {msg: 'out of luck'}"))
    await make_member("node1")
    run = await run_of("node1")
    machine = await machine_of(operator)
    assert (machine["state"], machine["cause"]) == ("failed", "out of luck")
    assert machine["hint"]
    [failure] = (await operator.get("/api/failures")).json()
    assert (failure["task"], failure["name"], failure["run_id"]) == ("Task 40", "node1", run["id"])
    (project / "playbook.yaml").write_text(playbook("ansible.builtin.debug: {msg: fine}"))
    again = (await operator.post(f"/api/runs/{run['id']}/retry")).json()
    assert (await end_of(operator, again["id"]))["state"] == "succeeded"
    assert (await machine_of(operator))["state"] == "ready"
    assert (await operator.get("/api/failures", params={"solved": False})).json() == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of our own that can be filled."""
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.root
async def test_a_full_disk_of_ours_is_named_nothing_is_half_done_and_it_goes_on_when_there_is_room(
    settings: Settings, small_disk: Path, project: Path
) -> None:
    (project / "playbook.yaml").write_text(LOCAL + "    - ansible.builtin.debug: {msg: hello}\n")
    own = settings.provisioning.model_copy(update={"database_url": f"sqlite:///{small_disk / 'own.db'}"})
    here = settings.model_copy(update={"state_dir": small_disk, "provisioning": own})
    app = build_process(here).app()
    async with (
        app.router.lifespan_context(app),
        operator_of(app) as operator,
        client_of(app, "https://provisioning.example", "10.0.0.7") as machine,
    ):
        member, late = Ramdisk(machine, address="127.0.0.1"), Ramdisk(machine)
        await accepted(operator, member)
        (await member.enrol(await member.token())).raise_for_status()
        await accepted(operator, late, "node2")
        token = await late.token()
        filling = small_disk / "filling"
        await asyncio.to_thread(_fill, filling)
        refused = await late.enrol(token)
        assert (refused.status_code, refused.json()["code"]) == (507, "database.disk_full"), refused.text
        assert (await machine_of(operator, "node2"))["state"] == "accepted"
        assert (await operator.get("/api/machines/node2/credentials")).json() == []
        started = await operator.post("/api/runs", json={"machines": ["node1"]})
        assert started.status_code == 507
        await asyncio.to_thread(filling.unlink)

        # Nothing was used up: the same token, and the same run, now that there is room.
        assert (await late.enrol(token)).is_success
        run = (await operator.post("/api/runs", json={"machines": ["node1"]})).raise_for_status().json()
        assert (await end_of(operator, run["id"]))["state"] == "succeeded"

        async def exported() -> bool:
            return "node2" in here.inventory_path.read_text()

        await eventually(exported)


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue


@pytest.mark.root
async def test_a_run_that_finds_the_disk_full_waits_and_is_not_lost(
    settings: Settings, small_disk: Path, project: Path
) -> None:
    """The database has room (it is elsewhere), the folder of the run has none."""
    (project / "playbook.yaml").write_text(LOCAL + "    - ansible.builtin.debug: {msg: hello}\n")
    here = settings.model_copy(update={"state_dir": small_disk})
    app = build_process(here).app()
    async with (
        app.router.lifespan_context(app),
        operator_of(app) as operator,
        client_of(app, "https://provisioning.example", "10.0.0.7") as machine,
    ):
        member = Ramdisk(machine, address="127.0.0.1")
        await accepted(operator, member)
        (await member.enrol(await member.token())).raise_for_status()
        filling = small_disk / "filling"
        await asyncio.to_thread(_fill, filling)
        run = (await operator.post("/api/runs", json={"machines": ["node1"]})).raise_for_status().json()
        ended = await end_of(operator, run["id"])
        assert ended["state"] == "failed" and "disk" in f"{ended['cause']} {ended['hint']}".lower()
        assert (await machine_of(operator))["state"] in ("enrolled", "failed")
        await asyncio.to_thread(filling.unlink)
        again = await operator.post(f"/api/runs/{run['id']}/retry")
        assert (await end_of(operator, again.raise_for_status().json()["id"]))["state"] == "succeeded"


@pytest.mark.each_database
async def test_a_line_of_the_audit_log_that_no_database_can_count_to_is_refused(
    operator: httpx.AsyncClient,
) -> None:
    last = await operator.get("/api/audit", params={"after": 2**31 - 1})
    assert (last.status_code, last.json()) == (200, [])
    beyond = await operator.get("/api/audit", params={"after": 2**31})
    assert (beyond.status_code, beyond.json()["code"]) == (422, "request.invalid")
