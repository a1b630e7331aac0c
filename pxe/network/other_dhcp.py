"""Looks for other DHCP servers on a network (rogue DHCP detection): sends a DISCOVER, reads offers and
accepts none. Called by the boot network's service before it starts, and by the machine's checks while it
runs.

    python3 -m pxe.network.other_dhcp --interface eth0 --mode server [--own ADDRESS] [--wait-s 4]

Ends with 0 when the boot network may start, with 3 when another server conflicts, with 2 when the search
failed. With `--as-check` it prints one line of JSON for a problem, as checks of a machine do, and ends with
0. Only the standard library: the role carries this file to machines.
"""

from __future__ import annotations

import argparse
import json
import secrets
import socket
import struct
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address

from pxe.network.dhcp_messages import CLIENT_PORT, SERVER_PORT, Kind, discover, read_message

CONFLICT, SEARCH_FAILED = 3, 2
_ALL_IPV4 = 0x0800
_BROADCAST = b"\xff" * 6
_INTERVAL_S = 1.0


@dataclass(frozen=True, slots=True)
class OtherServer:
    """A DHCP server that answered: `address` as it names itself, `mac` as it was on the wire."""

    address: IPv4Address
    mac: str
    offers_address: IPv4Address | None
    boot_file: str

    @property
    def sentence(self) -> str:
        gives = []
        if self.offers_address is not None:
            gives.append(f"gives addresses ({self.offers_address} to us)")
        if self.boot_file:
            gives.append(f"names the boot file {self.boot_file!r}")
        return f"{self.address} ({self.mac}) {' and '.join(gives) or 'answers'}"


def search(interface: str, wait_s: float, own: IPv4Address | None = None) -> list[OtherServer]:
    """Returns the servers that answer within `wait_s`, without `own`. Asks each second as a plain client and
    as PXE firmware: proxyDHCP servers answer only the latter. Raises OSError.
    """
    transactions = secrets.randbits(32), secrets.randbits(32)
    found: dict[tuple[IPv4Address, str], OtherServer] = {}
    # Below IP: works before the interface has an address, passes firewalls, and occupies no port.
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL_IPV4)) as raw:
        raw.bind((interface, _ALL_IPV4))
        mac = raw.getsockname()[4].hex(":")
        until = time.monotonic() + wait_s
        ask_at = 0.0
        while (now := time.monotonic()) < until:
            if now >= ask_at:
                for transaction, boots in zip(transactions, (False, True), strict=True):
                    raw.send(_frame(mac, discover(mac, transaction, asks_to_boot=boots)))
                ask_at = now + _INTERVAL_S
            raw.settimeout(max(0.01, min(until, ask_at) - now))
            try:
                frame = raw.recv(65536)
            except TimeoutError:
                continue
            other = _offer(frame, transactions)
            if other is not None and other.address != own:
                known = found.get((other.address, other.mac))
                found[other.address, other.mac] = _merge(known, other) if known is not None else other
    return list(found.values())


def verdict(found: Iterable[OtherServer], mode: str) -> tuple[bool, list[str]]:
    """Returns whether the boot network may start, and sentences for the operator."""
    others = list(found)
    conflicting = [one for one in others if mode == "server" or one.boot_file]
    sentences = [f"Another DHCP server is on this network: {one.sentence}." for one in conflicting]
    if mode == "server" and conflicting:
        sentences.append(
            "Two servers give machines contradicting answers. Switch it off, or use the mode `proxy`."
        )
    elif conflicting:
        sentences.append("Machines would boot from either. Take the boot file out of its configuration.")
    elif mode == "proxy" and not others:
        sentences.append("No DHCP server answers here: machines will get no address until there is one.")
    return not conflicting, sentences


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Look for other DHCP servers.")
    parser.add_argument("--interface", required=True)
    parser.add_argument("--mode", choices=["server", "proxy"], required=True)
    parser.add_argument("--own", type=IPv4Address, help="answers of this server do not count")
    parser.add_argument("--wait-s", type=float, default=4.0)
    parser.add_argument("--only-warn", action="store_true", help="say what was found, and go on")
    parser.add_argument("--as-check", action="store_true", help="print problems as JSON, and end with 0")
    chosen = parser.parse_args(arguments)
    try:
        found = search(chosen.interface, chosen.wait_s, chosen.own)
    except OSError as error:
        print(f"Cannot look for DHCP servers on {chosen.interface}: {error}", file=sys.stderr)
        return SEARCH_FAILED
    fine, sentences = verdict(found, chosen.mode)
    if chosen.as_check:
        if not fine:
            *message, hint = sentences
            print(json.dumps({"code": "boot_network.other_dhcp", "message": " ".join(message), "hint": hint}))
        return 0
    for line in sentences:
        print(line)
    if fine or chosen.only_warn:
        return 0
    return CONFLICT


def _merge(one: OtherServer, other: OtherServer) -> OtherServer:
    return OtherServer(
        one.address, one.mac, one.offers_address or other.offers_address, one.boot_file or other.boot_file
    )


def _frame(mac: str, message: bytes) -> bytes:
    # Without a checksum, which UDP over IPv4 allows.
    udp = struct.pack("!HHHH", CLIENT_PORT, SERVER_PORT, 8 + len(message), 0) + message
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, bytes(4), b"\xff" * 4)
    head = head[:10] + struct.pack("!H", _checksum(head)) + head[12:]
    return _BROADCAST + bytes.fromhex(mac.replace(":", "")) + _ALL_IPV4.to_bytes(2, "big") + head + udp


def _checksum(head: bytes) -> int:
    """RFC 1071."""
    total: int = sum(struct.unpack(f"!{len(head) // 2}H", head))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _offer(frame: bytes, transactions: tuple[int, ...]) -> OtherServer | None:
    """Parses a DHCP offer to us; returns None for all other frames."""
    if len(frame) < 42 or frame[12:14] != _ALL_IPV4.to_bytes(2, "big") or frame[23] != socket.IPPROTO_UDP:
        return None
    udp = 14 + (frame[14] & 15) * 4
    if len(frame) < udp + 8 or int.from_bytes(frame[udp + 2 : udp + 4], "big") != CLIENT_PORT:
        return None
    try:
        message = read_message(frame[udp + 8 :])
    except ValueError:
        return None
    if message.transaction not in transactions or not message.reply or message.kind is not Kind.OFFER:
        return None
    return OtherServer(
        address=message.server or IPv4Address(frame[26:30]),
        mac=":".join(f"{byte:02x}" for byte in frame[6:12]),
        offers_address=message.your_address if message.gives_addresses else None,
        boot_file=message.file,
    )


if __name__ == "__main__":
    sys.exit(main())
