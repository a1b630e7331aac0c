"""The real process on real sockets: TLS, slow clients, a fleet at once, and kill -9 in the middle of it."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import PATIENCE_S, eventually
from cryptography.hazmat.primitives import serialization
from real_server import FLEET_LIMITS, RealServer, running_server
from test_runs import LOCAL

from bench.simulated_fleet import machine as simulated_machine
from bench.simulated_fleet.fleet import Fleet, announce_fleet, fleet_client
from bench.simulated_fleet.plan import Fault, plan_fleet
from provisioning_api.certificates.key_folder import KeyFolder
from provisioning_api.certificates.tls_authority import TlsAuthority
from provisioning_api.machines.identity import check_name


@pytest.fixture
def ca(server: RealServer) -> str:
    return httpx.get(f"{server.url}/api/ca.pem", timeout=PATIENCE_S, trust_env=False).text


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    """One server for the tests that change nothing."""
    folder = tmp_path_factory.mktemp("lasting")
    with running_server(folder, {"SOUNDSTAGE_STATE_DIR": str(folder / "state"), **FLEET_LIMITS}) as running:
        yield running


@pytest.fixture
def lasting_ca(lasting: RealServer) -> str:
    return httpx.get(f"{lasting.url}/api/ca.pem", timeout=PATIENCE_S, trust_env=False).text


def operator_of(server: RealServer) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=server.url, headers=server.headers, timeout=PATIENCE_S, trust_env=False)


def tls_client(server: RealServer, ca: str, **versions: Any) -> httpx.Client:
    context = ssl.create_default_context(cadata=ca)
    for name, version in versions.items():
        setattr(context, name, version)
    return httpx.Client(base_url=server.tls_url, verify=context, timeout=PATIENCE_S, trust_env=False)


def test_an_agent_that_trusts_our_authority_alone_gets_through_with_tls_1_3(
    lasting: RealServer, lasting_ca: str
) -> None:
    with tls_client(lasting, lasting_ca, minimum_version=ssl.TLSVersion.TLSv1_3) as client:
        assert client.get("/api/health").json() == {"status": "ok"}


def test_its_certificate_is_good_for_the_host_that_boot_scripts_name(tmp_path: Path) -> None:
    environment = {
        "SOUNDSTAGE_STATE_DIR": str(tmp_path / "state"),
        "SOUNDSTAGE_PROVISIONING__PUBLIC_URL": "http://boot.example:8080",
    }
    with running_server(tmp_path, environment) as server:
        ca = httpx.get(f"{server.url}/api/ca.pem", timeout=PATIENCE_S, trust_env=False).text
        port = int(server.tls_url.rpartition(":")[2])
        context = ssl.create_default_context(cadata=ca)
        with (
            socket.create_connection(("127.0.0.1", port), PATIENCE_S) as link,
            context.wrap_socket(link, server_hostname="boot.example") as secure,
        ):
            assert secure.version() == "TLSv1.3"


def test_no_member_can_pass_for_this_api_by_its_certificate(lasting: RealServer, lasting_ca: str) -> None:
    """All are of one authority. Agents (pxe/agent/trust.go) want this name, which no machine may have."""
    context = ssl.create_default_context(cadata=lasting_ca)
    host, _, port = lasting.tls_url.removeprefix("https://").partition(":")
    with (
        socket.create_connection((host, int(port)), PATIENCE_S) as link,
        context.wrap_socket(link, server_hostname=host) as secure,
    ):
        shown = secure.getpeercert()
    assert shown is not None
    assert shown["subject"] == ((("commonName", "soundstage"),),)
    with pytest.raises(ValueError, match="meaning of its own"):
        check_name("soundstage")


def test_tls_1_2_is_refused(lasting: RealServer, lasting_ca: str) -> None:
    with (
        tls_client(lasting, lasting_ca, maximum_version=ssl.TLSVersion.TLSv1_2) as client,
        pytest.raises(httpx.ConnectError, match="SSL"),
    ):
        client.get("/api/health")


def test_the_plain_port_enrols_nobody(lasting: RealServer) -> None:
    answer = httpx.post(f"{lasting.url}/api/agent/enrol", json={}, timeout=PATIENCE_S, trust_env=False)
    assert answer.json()["code"] == "enrolment.needs_tls"


def test_an_agent_does_not_talk_to_a_server_that_a_rogue_dhcp_answer_names(
    lasting: RealServer, tmp_path: Path
) -> None:
    """Whoever answers DHCP can send a machine anywhere; its agent trusts our authority alone."""
    somebody = TlsAuthority(KeyFolder(tmp_path / "rogue"))
    with (
        tls_client(lasting, somebody.pem) as client,
        pytest.raises(httpx.ConnectError, match="certificate verify failed"),
    ):
        client.get("/api/health")


def test_the_key_of_the_tls_port_is_no_authority(lasting: RealServer, lasting_ca: str) -> None:
    folder = lasting.folder / "state" / "provisioning" / "tls"
    assert (folder / "server.key").stat().st_mode & 0o077 == 0
    key = serialization.load_pem_private_key((folder / "server.key").read_bytes(), None)
    form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    assert key.public_key().public_bytes(*form).decode() not in lasting_ca


def test_slow_clients_hold_nobody_up(lasting: RealServer) -> None:
    host, port = lasting.url.removeprefix("http://").split(":")
    slow = [socket.create_connection((host, int(port))) for _ in range(200)]
    try:
        for number, one in enumerate(slow):
            # Half a head, or a body that never comes.
            head = b"POST /api/ready-for-provisioning HTTP/1.1\r\nHost: localhost\r\n"
            one.sendall(
                head
                if number % 2
                else head + b"Content-Type: application/json\r\nContent-Length: 99\r\n\r\n{"
            )
        assert httpx.get(f"{lasting.url}/api/health", timeout=PATIENCE_S, trust_env=False).is_success
    finally:
        for one in slow:
            one.close()


class Drips:
    """Sends requests byte by byte, until the server ends them; beside other tests, for it takes 20 s."""

    def __init__(self, server: RealServer, ca: str) -> None:
        self._urls = (server.url, server.tls_url)
        self._context = ssl.create_default_context(cadata=ca)
        self.ended: list[str] = []
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        head = b"POST /api/ready-for-provisioning HTTP/1.1\r\nHost: localhost\r\n"
        body = head + b"Content-Type: application/json\r\nContent-Length: 9999\r\n\r\n{"
        with ExitStack() as stack:
            dripping: dict[str, socket.socket] = {}
            for url in self._urls:
                for part, begun in (("head", head), ("body", body)):
                    one = socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), PATIENCE_S)
                    if url.startswith("https"):
                        one = self._context.wrap_socket(one, server_hostname="127.0.0.1")
                    stack.enter_context(one)
                    one.sendall(begun)
                    dripping[f"{part} over {url.partition(':')[0]}"] = one
            deadline = time.monotonic() + PATIENCE_S
            while dripping and time.monotonic() < deadline:
                time.sleep(0.2)
                ended = [name for name, one in dripping.items() if not _takes_more(one)]
                self.ended += ended
                dripping = {name: one for name, one in dripping.items() if name not in ended}


@pytest.fixture(scope="module")
def drips(lasting: RealServer) -> Iterator[Drips]:
    begun = Drips(lasting, httpx.get(f"{lasting.url}/api/ca.pem", timeout=PATIENCE_S, trust_env=False).text)
    begun.thread.start()
    yield begun
    begun.thread.join()


@pytest.fixture(scope="module", autouse=True)
def _drips_beside_all_tests(drips: Drips) -> None:
    """They begin with the first test of this module."""


def _takes_more(one: socket.socket) -> bool:
    """Sends one byte more; whether the other side has not ended the connection."""
    try:
        one.sendall(b" ")
        one.settimeout(0.05)
        one.recv(100)
        return False
    except TimeoutError:
        return True
    except OSError:
        return False
    finally:
        one.settimeout(PATIENCE_S)


def test_a_head_without_end_is_refused(lasting: RealServer) -> None:
    host, port = lasting.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), PATIENCE_S) as one:
        one.sendall(b"GET / HTTP/1.1\r\nX-Long: " + b"a" * (256 << 10))
        try:
            answer = one.recv(100)
        except ConnectionResetError:
            # It had more to read than it wanted, and ended there.
            answer = b""
        assert answer == b"" or answer.startswith(b"HTTP/1.1 4")


class InventoryReader:
    """Reads the file again and again, from outside, and keeps what was not whole."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read)
        self.reads, self.broken = 0, list[str]()

    def __enter__(self) -> InventoryReader:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _read(self) -> None:
        while not self._stop.wait(0.002):
            content = self._path.read_text()
            self.reads += 1
            try:
                found = json.loads(content)
                assert set(found["members"]["hosts"]) == set(found["_meta"]["hostvars"])
            except (ValueError, KeyError, AssertionError) as error:
                self.broken.append(f"{error!r}: {content[:200]}")


@pytest.mark.parametrize("size", [60, pytest.param(120, marks=pytest.mark.slow)])
async def test_a_fleet_with_faults_loses_and_doubles_nobody_and_the_inventory_is_always_whole(
    server: RealServer, ca: str, tmp_path: Path, size: int
) -> None:
    plans = plan_fleet(size, 7, faulty=0.3, spread_s=1.0)
    async with operator_of(server) as operator, fleet_client(server.tls_url, ca) as client:
        await announce_fleet(operator, plans)
        with InventoryReader(tmp_path / "state" / "inventory" / "soundstage.json") as reader:
            result = await Fleet(client).run(plans, 7)
        machines = (await operator.get("/api/machines")).json()
        assert len(machines) == len({machine["name"] for machine in machines}) == len(plans)
        faults = Counter(plan.fault for plan in plans)
        assert "ENROLLED TWICE" not in result.ends
        assert not {"500", "0"} & result.statuses.keys(), result
        assert all(faults[fault] for fault in Fault), "the seed has to bring every fault"
        assert result.ends["half_written"] == faults[Fault.HALF_WRITTEN_DISK]
        # A twin that comes first makes the other one wait, whatever that one's own fault.
        for fault in (Fault.LOST_PACKETS, Fault.CLOCK_1970, Fault.REPLAY, Fault.NONE):
            assert set(result.ends_by_fault[fault]) <= {"enrolled", "waits"}, result
        failed = [machine for machine in machines if machine["state"] == "failed"]
        assert len(failed) == faults[Fault.HALF_WRITTEN_DISK] and all(one["hint"] for one in failed)
        refused = [
            one["data"]["code"]
            for one in (await operator.get("/api/audit", params={"limit": 1000})).json()
            if one["action"] == "enrolment.refused"
        ]
        replayed = result.ends_by_fault[Fault.REPLAY]["enrolled"]
        assert refused.count("enrolment.token_used") >= replayed
        # Of machines with one UUID the first is accepted, and the others wait for an operator.
        assert result.ends["waits"] == faults[Fault.DUPLICATE_UUID]
        assert result.ends["enrolled"] + result.ends["half_written"] + result.ends["waits"] == len(plans)
        assert reader.broken == [] and reader.reads > 0

        async def complete() -> bool:
            text = (tmp_path / "state" / "inventory" / "soundstage.json").read_text()
            return len(json.loads(text)["_meta"]["hostvars"]) == result.ends["enrolled"]

        await eventually(complete)
        records = (await operator.get("/api/audit/verdict")).json()
        assert records["broken_at"] is None


async def test_lost_packets_are_the_same_for_the_same_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two fleets against a server that only counts: what each machine sends, and what it loses."""
    monkeypatch.setattr(simulated_machine, "RETRY_S", 0.0)
    plans = [one for one in plan_fleet(60, 5, faulty=1, spread_s=0) if one.fault is Fault.LOST_PACKETS]

    async def received_calls() -> list[str]:
        calls: list[str] = []

        def answer(request: httpx.Request) -> httpx.Response:
            calls.append(request.url.path)
            return httpx.Response(200, json={"machine_id": "m", "challenge": "c", "next": "wait"})

        async with httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://api") as client:
            for plan in plans:
                await Fleet(client).run([plan], 5)
        return calls

    first, second = await received_calls(), await received_calls()
    assert first == second
    # Two calls each, and those that were repeated because an answer was lost.
    assert len(first) > 2 * len(plans)


def test_the_same_seed_gives_the_same_fleet() -> None:
    assert plan_fleet(50, 3, faulty=0.5, spread_s=1) == plan_fleet(50, 3, faulty=0.5, spread_s=1)
    assert plan_fleet(50, 3, faulty=0.5, spread_s=1) != plan_fleet(50, 4, faulty=0.5, spread_s=1)


async def kill_drill(server: RealServer, ca: str, project: Path, rounds: int) -> None:
    """Machines enrol and runs run while the process is killed, again and again; then everything is
    counted.
    """
    (project / "playbook.yaml").write_text(LOCAL + "    - ansible.builtin.command: sleep 1\n")
    run_ids: list[str] = []
    async with operator_of(server) as operator:
        plans = plan_fleet(rounds * 10, 11, faulty=0, spread_s=0.5)
        await announce_fleet(operator, plans)
        for number in range(rounds):
            async with fleet_client(server.tls_url, ca) as client:
                fleet = asyncio.create_task(Fleet(client).run(plans[number * 10 : number * 10 + 10]))
                members = (
                    await operator.get("/api/machines", params={"state": ["ready", "enrolled"]})
                ).json()
                for member in members[:2]:
                    started = await operator.post("/api/runs", json={"machines": [member["name"]]})
                    run_ids += [started.json()["id"]] if started.is_success else []
                # At another moment each round, from the first call to the middle of runs.
                await asyncio.sleep(0.15 * (number % 10))
                await asyncio.to_thread(server.kill)
                await asyncio.to_thread(server.start)
                await fleet
        await _everything_is_accounted_for(operator, run_ids, plans=len(plans))


async def _everything_is_accounted_for(operator: httpx.AsyncClient, run_ids: list[str], plans: int) -> None:
    async def over() -> Any:
        runs = (await operator.get("/api/runs", params={"limit": 500})).json()
        return runs if all(run["state"] not in ("queued", "running") for run in runs) else None

    runs = await eventually(over)
    assert set(run_ids) <= {run["id"] for run in runs}
    resumed = {run["retry_of"] for run in runs}
    assert all(run["id"] in resumed or run["retry_of"] for run in runs if run["state"] == "lost")
    machines = (await operator.get("/api/machines")).json()
    assert len(machines) == plans
    before = {"discovered", "accepted", "deploying"}
    assert {machine["state"] for machine in machines} <= before | {"enrolled", "ready", "failed"}
    for machine in machines:
        held = (await operator.get(f"/api/machines/{machine['name']}/credentials")).json()
        enrolments = (await operator.get(f"/api/machines/{machine['name']}/enrolments")).json()
        used = [one for one in enrolments if one["state"] == "used"]
        member = machine["state"] not in before
        # Both or none, and never twice.
        assert sorted(one["kind"] for one in held) == (["ssh_host", "x509"] if member else []), machine
        assert len(used) == (1 if member else 0), machine
    assert (await operator.get("/api/audit/verdict")).json()["broken_at"] is None


async def test_killed_five_times_in_the_middle_nothing_is_lost_or_doubled(
    server: RealServer, ca: str, project: Path
) -> None:
    await kill_drill(server, ca, project, 5)


@pytest.mark.slow
@pytest.mark.timeout(1800)
async def test_killed_fifty_times_in_the_middle_nothing_is_lost_or_doubled(
    server: RealServer, ca: str, project: Path
) -> None:
    await kill_drill(server, ca, project, 50)


def test_a_request_that_drips_is_ended_on_either_port(drips: Drips) -> None:
    """Its head or its body: one byte a second would otherwise hold a connection for ever."""
    drips.thread.join()
    assert sorted(drips.ended) == ["body over http", "body over https", "head over http", "head over https"]
