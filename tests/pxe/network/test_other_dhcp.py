"""Other DHCP servers are found by real packets, and named with what they give, before ours begins."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from ipaddress import IPv4Address

import pytest
from boot_net import STRANGER, BootNet
from boot_network import Mode

from lab.network import BRIDGE
from lab.plan import GATEWAY
from pxe.network.dhcp_messages import COOKIE, Kind, Option, discover, read_message
from pxe.network.other_dhcp import CONFLICT, OtherServer, search, verdict

NOBODY = "10.77.0.9"


def look(net: BootNet, *options: str) -> subprocess.CompletedProcess[str]:
    """As the service calls it before it starts."""
    enter = ["ip", "netns", "exec", net.paths.network]
    words = ["-m", "pxe.network.other_dhcp", "--interface", BRIDGE, "--wait-s", "5", *options]
    return subprocess.run([*enter, sys.executable, *words], capture_output=True, text=True)


@pytest.mark.root
def test_a_server_that_gives_addresses_is_named_and_ours_does_not_start(boot_net: BootNet) -> None:
    boot_net.add_stranger()
    looked = look(boot_net, "--mode", "server")
    assert looked.returncode == CONFLICT, looked.stderr
    assert f"Another DHCP server is on this network: {STRANGER} (" in looked.stdout
    assert "use the mode `proxy`" in looked.stdout
    assert look(boot_net, "--mode", "server", "--only-warn").returncode == 0
    assert look(boot_net, "--mode", "proxy").returncode == 0, "a proxy needs such a server"


@pytest.mark.root
def test_an_empty_network_is_free_for_a_server_and_a_warning_for_a_proxy(boot_net: BootNet) -> None:
    alone = look(boot_net, "--mode", "server")
    assert (alone.returncode, alone.stdout) == (0, "")
    assert "No DHCP server answers here" in look(boot_net, "--mode", "proxy").stdout


@pytest.mark.root
def test_a_rogue_that_names_a_boot_file_is_found_while_ours_runs(boot_net: BootNet) -> None:
    boot_net.serve(boot_net.plan(Mode.SERVER))
    boot_net.add_stranger("--dhcp-boot=rogue.0,,10.77.0.66")
    checked = look(boot_net, "--mode", "server", "--own", GATEWAY, "--as-check")
    problem = json.loads(checked.stdout)
    assert problem["code"] == "boot_network.other_dhcp"
    assert STRANGER in problem["message"] and "rogue.0" in problem["message"]
    assert GATEWAY not in problem["message"], "our own answers do not count"


@pytest.mark.root
def test_two_proxies_would_contradict_each_other(boot_net: BootNet) -> None:
    service = "--pxe-service=tag:nobody,X86PC,nothing,0"
    boot_net.add_stranger(service, f"--dhcp-boot=theirs.0,,{STRANGER}", gives=f"{STRANGER},proxy")
    looked = look(boot_net, "--mode", "proxy")
    assert looked.returncode == CONFLICT
    assert f"{STRANGER} (" in looked.stdout and "theirs.0" in looked.stdout


@pytest.mark.root
def test_a_network_card_that_is_not_there_is_an_error_and_not_a_yes(boot_net: BootNet) -> None:
    enter = ["ip", "netns", "exec", boot_net.paths.network, sys.executable, "-m", "pxe.network.other_dhcp"]
    looked = subprocess.run(
        [*enter, "--interface", "eth9", "--mode", "server"], capture_output=True, text=True
    )
    assert looked.returncode == 2
    assert "Cannot look for DHCP servers on eth9" in looked.stderr


@pytest.mark.root
def test_nobody_else_is_seen_where_nobody_is(boot_net: BootNet) -> None:
    assert boot_net.inside(lambda: search(BRIDGE, 1.0, IPv4Address(NOBODY))) == []


def test_a_proxy_is_disturbed_by_boot_files_alone() -> None:
    gives = OtherServer(IPv4Address(NOBODY), "02:00:00:00:00:01", IPv4Address("10.77.0.50"), "")
    names = OtherServer(IPv4Address(NOBODY), "02:00:00:00:00:01", None, "theirs.0")
    assert verdict([gives], "proxy") == (True, [])
    assert verdict([gives], "server")[0] is False
    assert verdict([names], "proxy")[0] is False


def test_what_we_ask_can_be_read_back() -> None:
    request = read_message(discover("52:54:00:12:34:56", 7, asks_to_boot=True))
    assert (request.kind, request.mac, request.transaction) == (Kind.DISCOVER, "52:54:00:12:34:56", 7)
    assert (request.architecture, Option.IPXE in request.options, request.reply) == (0, False, False)
    assert request.options[Option.VENDOR_CLASS].startswith(b"PXEClient")


@pytest.mark.parametrize("damage", [b"", b"\0" * 300, discover("52:54:00:12:34:56", 1)[:100]])
def test_what_is_no_dhcp_message_is_refused(damage: bytes) -> None:
    with pytest.raises(ValueError, match="not a DHCP message"):
        read_message(damage)


def test_options_are_read_up_to_where_they_are_damaged_and_from_the_fields_for_names() -> None:
    whole = discover("52:54:00:12:34:56", 1)
    head = whole[: whole.index(COOKIE) + 4]
    message = read_message(head + bytes([53, 1, 2, 54, 4, 10, 0, 0, 1, 60, 200]) + b"short")
    assert (message.kind, message.server) == (Kind.OFFER, IPv4Address("10.0.0.1"))
    named = bytearray(head)
    struct.pack_into("!BB9sB", named, 108, 67, 9, b"boot.kpxe", 255)
    overloaded = read_message(bytes(named) + bytes([52, 1, 1, 53, 1, 2, 255]))
    assert overloaded.file == "boot.kpxe"
