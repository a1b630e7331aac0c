"""Power: magic packets, a real Redfish emulator in a process of its own, and a webhook."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import http.server
import json
import socket
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import PATIENCE_S, eventually
from redfish_double import PASSWORD, USER, Board, redfish_double
from redfish_emulator import SYSTEM

from provisioning_api.power import redfish
from provisioning_api.power.redfish import Bmc, RedfishClient
from provisioning_api.power.schemas import PowerAction
from provisioning_api.power.service import magic_packet
from soundstage.errors import Upstream

Make = Callable[..., Awaitable[dict[str, Any]]]


async def test_a_bmc_is_asked_and_switched_and_boots_from_the_network_once(
    operator: httpx.AsyncClient, make_member: Make, bmc: str
) -> None:
    await make_member("node1")
    setup = {"power": {"kind": "redfish", "url": bmc, "user": "admin", "password": "hidden-password"}}
    (await operator.put("/api/machines/node1/power", json=setup)).raise_for_status()

    async def is_now(wanted: str) -> None:
        """A machine takes its time, and so does the emulated one."""

        async def reached() -> bool:
            found = await operator.get("/api/machines/node1/power")
            return bool(found.raise_for_status().json()["state"] == wanted)

        await eventually(reached)

    async def boot() -> dict[str, str]:
        system = await asyncio.to_thread(httpx.get, f"{bmc}/redfish/v1/Systems/{SYSTEM}", trust_env=False)
        return dict(system.json()["Boot"])

    await is_now("Off")
    (await operator.post("/api/machines/node1/power", json={"action": "on"})).raise_for_status()
    await is_now("On")
    (await operator.post("/api/machines/node1/netboot")).raise_for_status()
    assert (await boot())["BootSourceOverrideTarget"] == "Pxe"
    await is_now("On")
    (await operator.post("/api/machines/node1/power", json={"action": "boot_disk"})).raise_for_status()
    assert (await boot())["BootSourceOverrideTarget"] == "Hdd"
    (await operator.post("/api/machines/node1/power", json={"action": "off"})).raise_for_status()
    await is_now("Off")
    shown = await operator.get("/api/machines/node1")
    assert "hidden-password" not in shown.text + (await operator.get("/api/audit")).text


async def test_a_wrong_password_of_a_bmc_is_named_switches_nothing_and_can_be_set_anew(
    operator: httpx.AsyncClient, make_member: Make, tmp_path: Path
) -> None:
    await make_member("node1")
    with redfish_double(tmp_path, Board("7FG2X13", power="Off")) as board:
        own = {"url": board.url, "user": USER, "certificate_sha256": board.certificate_sha256}
        power = {"kind": "redfish", **own, "password": "that-of-last-year"}
        await operator.put("/api/machines/node1/power", json={"power": power})
        refusals = [
            await operator.get("/api/machines/node1/power"),
            await operator.post("/api/machines/node1/power", json={"action": "on"}),
            await operator.post("/api/machines/node1/netboot"),
        ]
        assert {(one.status_code, one.json()["code"]) for one in refusals} == {(502, "power.bmc_refuses")}
        assert (board.power, board.boot, board.resets) == ("Off", "None", [])
        everything = "".join(one.text for one in refusals) + (await operator.get("/api/audit")).text
        assert "that-of-last-year" not in everything
        await operator.put("/api/machines/node1/power", json={"power": power | {"password": PASSWORD}})
        (await operator.post("/api/machines/node1/power", json={"action": "on"})).raise_for_status()
        assert board.resets == ["On"]


@pytest.mark.parametrize("insists", [True, False])
async def test_bmcs_that_insist_on_a_tag_and_those_that_refuse_it_both_work(insists: bool) -> None:
    """What is a 412 on one maker's BMC is the only way on another's."""
    patched: list[bool] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json={"PowerState": "On"}, headers={"ETag": '"1"'})
        tagged = "if-match" in request.headers
        if tagged != insists:
            return httpx.Response(412)
        patched.append(tagged)
        return httpx.Response(204)

    client = httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://bmc")
    await RedfishClient(Bmc("http://bmc", "u", "p", system="1"), client).do(PowerAction.BOOT_NETWORK)
    assert patched == [insists]


async def test_a_bmc_cannot_send_our_password_elsewhere() -> None:
    evil = {"Actions": {"#ComputerSystem.Reset": {"target": "http://evil.example/x"}}}
    client = httpx.AsyncClient(
        transport=httpx.MockTransport(lambda _: httpx.Response(200, json=evil)), base_url="http://bmc"
    )
    with pytest.raises(Upstream, match="outside of Redfish"):
        await RedfishClient(Bmc("http://bmc", "u", "p", system="1"), client).do(PowerAction.ON)


async def test_a_bmc_that_is_away_or_says_nonsense_is_a_clear_error(
    operator: httpx.AsyncClient, make_member: Make
) -> None:
    await make_member("node1")
    assert (await operator.get("/api/machines/node1/power")).json()["code"] == "power.not_set"
    setup = {"power": {"kind": "redfish", "url": "http://127.0.0.1:1"}}
    await operator.put("/api/machines/node1/power", json=setup)
    answer = await operator.get("/api/machines/node1/power")
    assert (answer.status_code, answer.json()["code"]) == (502, "power.bmc_unreachable")


@pytest.mark.parametrize(
    ("found", "path"),
    [
        ({"Members": [{"@odata.id": "/redfish/v1/Systems/1"}]}, "/redfish/v1/Systems/1"),
        *(({"Members": odd}, "") for odd in (None, [], {}, "x", ["x"], [None], [{}], {"@odata.id": "/x"})),
        *((odd, "") for odd in (None, [], "x", 1)),
    ],
)
def test_a_list_of_any_shape_gives_a_path_or_none(found: object, path: str) -> None:
    assert redfish._first_link(found, "Members") == path


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://127.0.0.1:8000/api/keys", "outgoing.own_listener"),
        ("https://[::ffff:127.0.0.1]:8002/", "outgoing.own_listener"),
        ("http://2130706433:8001/", "outgoing.own_listener"),
        ("http://169.254.169.254/latest/meta-data", "outgoing.address_refused"),
        ("http://10.1.2.3/", "outgoing.address_refused"),
    ],
)
async def test_power_is_switched_by_no_listener_of_ours_and_outside_no_network_that_is_allowed(
    operator: httpx.AsyncClient, make_member: Make, url: str, code: str
) -> None:
    """The settings of these tests allow loopback alone."""
    await make_member("node1")
    for setup in ({"kind": "redfish", "url": url}, {"kind": "webhook", "url": url, "secret": "s" * 32}):
        answer = await operator.put("/api/machines/node1/power", json={"power": setup})
        assert answer.json()["code"] == code
    assert (await operator.get("/api/machines/node1/power")).json()["code"] == "power.not_set"


async def test_a_magic_packet_is_sent_for_every_card(operator: httpx.AsyncClient, make_member: Make) -> None:
    macs = ["52:54:00:00:00:01", "52:54:00:00:00:02"]
    await make_member("node1", macs=macs)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as received:
        received.bind(("127.0.0.1", 0))
        received.settimeout(PATIENCE_S)
        port = received.getsockname()[1]
        setup = {"power": {"kind": "wol", "broadcast": "127.0.0.1", "port": port}}
        (await operator.put("/api/machines/node1/power", json=setup)).raise_for_status()
        (await operator.post("/api/machines/node1/power", json={"action": "on"})).raise_for_status()
        packets = [await asyncio.to_thread(received.recv, 1000) for _ in macs]
    assert packets == [b"\xff" * 6 + bytes.fromhex(mac.replace(":", "")) * 16 for mac in macs]
    assert len(magic_packet(macs[0])) == 102
    off = await operator.post("/api/machines/node1/power", json={"action": "off"})
    assert off.json()["code"] == "power.only_on"


async def test_a_webhook_gets_a_signed_wish(operator: httpx.AsyncClient, make_member: Make) -> None:
    await make_member("node1")
    got: list[tuple[bytes, str]] = []

    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((body, self.headers["X-Soundstage-Signature"]))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    secret = "s" * 32
    with http.server.HTTPServer(("127.0.0.1", 0), Receiver) as receiver:
        threading.Thread(target=receiver.handle_request).start()
        url = f"http://127.0.0.1:{receiver.server_port}/switch"
        setup = {"power": {"kind": "webhook", "url": url, "secret": secret}}
        (await operator.put("/api/machines/node1/power", json=setup)).raise_for_status()
        (await operator.post("/api/machines/node1/power", json={"action": "cycle"})).raise_for_status()
    body, signature = got[0]
    assert json.loads(body) == {"machine": "node1", "action": "cycle"}
    assert signature == f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}"
