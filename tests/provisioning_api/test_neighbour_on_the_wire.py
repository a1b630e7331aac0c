"""The boot network with two real source addresses: a machine, and a neighbour who has read all about it."""

from __future__ import annotations

import asyncio
import ctypes
import os
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar, cast

import httpx
import pytest
import real_server
from conftest import PATIENCE_S
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from local_login import bearer
from ramdisk import Ramdisk
from test_attacks import refused
from test_proofs_of_machines import SSD, wiped

pytestmark = pytest.mark.root
GATE, MACHINE, NEIGHBOUR = "10.177.0.1", "10.177.0.7", "10.177.0.66"
_CLONE_NEWNET = 0x40000000
T = TypeVar("T")


class BootNetwork:
    """Three namespaces of our own on one bridge: the API's side, the machine, the neighbour."""

    def __init__(self) -> None:
        self.names = {address: f"id{os.getpid()}-{n}" for n, address in enumerate((GATE, MACHINE, NEIGHBOUR))}

    def make(self) -> None:
        gate = self.names[GATE]
        for name in self.names.values():
            _ip("netns", "add", name)
        _ip("-n", gate, "link", "add", "br0", "type", "bridge")
        _ip("-n", gate, "addr", "add", f"{GATE}/24", "dev", "br0")
        _ip("-n", gate, "link", "set", "br0", "up")
        for number, address in enumerate((MACHINE, NEIGHBOUR)):
            name, link = self.names[address], f"p{number}"
            _ip("-n", gate, "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", name)
            _ip("-n", gate, "link", "set", link, "master", "br0", "up")
            _ip("-n", name, "addr", "add", f"{address}/24", "dev", "eth0")
            _ip("-n", name, "link", "set", "eth0", "up")

    def remove(self) -> None:
        for name in self.names.values():
            subprocess.run(["ip", "netns", "del", name], capture_output=True)

    def at(self, address: str, work: Callable[[], T]) -> T:
        """What `work` gives in the namespace of this address; sockets that it makes stay there."""
        answers: list[T] = []

        def enter_and_work() -> None:
            with Path(f"/run/netns/{self.names[address]}").open() as namespace:
                # os.setns() comes with Python 3.12.
                libc = ctypes.CDLL(None, use_errno=True)
                assert libc.setns(namespace.fileno(), _CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
            answers.append(work())

        thread = threading.Thread(target=enter_and_work)
        thread.start()
        thread.join()
        return answers[0]


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


class Station:
    """As much of a client as a ramdisk needs, speaking TLS from its own address."""

    def __init__(self, network: BootNetwork, address: str, url: str, authority: str) -> None:
        self._network, self._address, self._url = network, address, url
        self._context = ssl.create_default_context(cadata=authority)
        # The deploy agent looks for the name of the API; its own tests are in Go.
        self._context.check_hostname = False

    async def post(self, path: str, json: Any) -> httpx.Response:
        def work() -> httpx.Response:
            with httpx.Client(verify=self._context, timeout=PATIENCE_S, trust_env=False) as client:
                return client.post(self._url + path, json=json)

        return await asyncio.to_thread(self._network.at, self._address, work)


@pytest.fixture
def boot_network() -> Iterator[BootNetwork]:
    network = BootNetwork()
    try:
        network.make()
        yield network
    finally:
        network.remove()


@pytest.fixture
def on_the_wire(
    boot_network: BootNetwork, tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[httpx.Client, Callable[[str], Station]]]:
    """The operator, at the plain port on loopback; and stations, at the TLS port of the network."""
    plain = real_server._listening("127.0.0.1")
    tls = boot_network.at(GATE, lambda: real_server._listening(GATE))
    sockets = [plain, tls]
    monkeypatch.setattr(real_server, "_listening", lambda _: sockets.pop(0))
    environment = {
        "SOUNDSTAGE_STATE_DIR": str(tmp_path / "state"),
        "SOUNDSTAGE_LOG__LEVEL": "warning",
        "SOUNDSTAGE_PROVISIONING__PROJECT_DIR": str(project),
    }
    url = f"https://{GATE}:{tls.getsockname()[1]}"
    with (
        real_server.running_server(tmp_path, environment) as server,
        httpx.Client(base_url=server.url, timeout=PATIENCE_S, trust_env=False) as operator,
    ):
        operator.headers.update(bearer(server.key_file.read_text()))
        authority = operator.get("/api/ca.pem").text
        yield operator, lambda address: Station(boot_network, address, url, authority)


async def test_a_neighbour_who_knows_addresses_and_uuid_changes_nothing_in_any_state(
    on_the_wire: tuple[httpx.Client, Callable[[str], Station]],
) -> None:
    operator, station = on_the_wire
    machine = Ramdisk(cast(httpx.AsyncClient, station(MACHINE)), address=MACHINE, hardware={"disks": [SSD]})
    (await machine.discover()).raise_for_status()
    forger = Ramdisk(
        cast(httpx.AsyncClient, station(NEIGHBOUR)),
        macs=machine.macs,
        uuid=machine.uuid,
        hardware={"disks": [SSD]},
        machine_id=machine.machine_id,
    )
    path = f"/api/machines/{machine.machine_id}"

    async def attacked(state: str) -> None:
        """Every call of a ramdisk, from the other address: all stays as it was, and the conflict shows."""
        before = operator.get(path).json()
        assert before["state"] == state
        refused(await forger.discover(), 409, "machine.key_conflict")
        for verb, payload in (
            ("claim", None),
            ("write", None),
            ("collect", None),
            ("report", {"failure": {"code": "disk_failed", "message": "forged"}}),
            ("report", wiped(SSD)),
        ):
            await forger.new_challenge()
            refused(await forger.call(verb, payload), 401, "enrolment.bad_signature")
        after = operator.get(path).json()
        [conflict] = after.pop("conflicts")
        before.pop("conflicts")
        assert after == before
        assert (conflict["code"], conflict["source"]) == (forger.code, NEIGHBOUR)
        assert (after["code_source"], conflict["same_source"]) == (MACHINE, False)

    await attacked("discovered")
    yes = {"name": "node1", "code": forger.code}
    refused(operator.post(f"{path}/accept", json=yes), 409, "machine.code_changed")
    operator.post(f"{path}/accept", json={**yes, "code": machine.code}).raise_for_status()
    await attacked("accepted")
    await machine.become_member()
    await attacked("enrolled")
    operator.post(f"{path}/retire", json={"confirm": "node1"}).raise_for_status()
    await attacked("draining")
    machine.key = Ed25519PrivateKey.generate()
    (await machine.discover()).raise_for_status()
    assert (await machine.call("report", wiped(SSD))).json()["state"] == "retired"
