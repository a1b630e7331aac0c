"""DHCP messages as bytes and as values; used by the search for other servers and by the reader of captures.

RFC 2131 (the message), RFC 2132 (options), RFC 4578 (kinds of firmware). Only the standard library: the role
carries this file to machines.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Address

SERVER_PORT, CLIENT_PORT, PROXY_PORT = 67, 68, 4011
COOKIE = b"\x63\x82\x53\x63"
_HEAD = struct.Struct("!BBBBIHH4s4s4s4s16s64s128s")
_PAD, _END, _OVERLOAD = 0, 255, 52


class Kind(IntEnum):
    """Option 53."""

    DISCOVER = 1
    OFFER = 2
    REQUEST = 3
    DECLINE = 4
    ACK = 5
    NAK = 6
    RELEASE = 7
    INFORM = 8


class Option(IntEnum):
    """The options that network boot is about."""

    VENDOR_SPECIFIC = 43
    REQUESTED_ADDRESS = 50
    KIND = 53
    SERVER = 54
    PARAMETER_LIST = 55
    VENDOR_CLASS = 60
    TFTP_SERVER = 66
    BOOT_FILE = 67
    USER_CLASS = 77
    ARCHITECTURE = 93
    IPXE = 175


@dataclass(frozen=True, slots=True)
class Message:
    """One DHCP message. `file` is the boot file, wherever the sender has put it."""

    kind: Kind | None
    reply: bool
    transaction: int
    mac: str
    your_address: IPv4Address
    next_server: IPv4Address
    file: str
    options: dict[int, bytes]

    @property
    def server(self) -> IPv4Address | None:
        value = self.options.get(Option.SERVER, b"")
        return IPv4Address(value) if len(value) == 4 else None

    @property
    def architecture(self) -> int | None:
        """Of the firmware: 0 is BIOS, 7 and 9 are UEFI x64, 16 is UEFI x64 by HTTP."""
        value = self.options.get(Option.ARCHITECTURE, b"")
        return int.from_bytes(value[:2], "big") if len(value) >= 2 else None

    @property
    def gives_addresses(self) -> bool:
        """Of an offer: a ProxyDHCP server offers a boot file and no address."""
        return int(self.your_address) != 0


def discover(mac: str, transaction: int, *, asks_to_boot: bool = False) -> bytes:
    """A DISCOVER whose answers are to be broadcast, because the client has no address yet. With
    `asks_to_boot` servers that only name boot files answer too.
    """
    options = [
        (Option.KIND, bytes([Kind.DISCOVER])),
        (Option.PARAMETER_LIST, bytes([1, 3, 6, 51, 54, 60, 66, 67])),
    ]
    if asks_to_boot:
        options += [
            (Option.VENDOR_CLASS, b"PXEClient:Arch:00000:UNDI:002001"),
            (Option.ARCHITECTURE, b"\0\0"),
        ]
    hardware = bytes.fromhex(mac.replace(":", "")).ljust(16, b"\0")
    no_address = bytes(4)
    head = _HEAD.pack(
        1,
        1,
        6,
        0,
        transaction,
        0,
        0x8000,
        no_address,
        no_address,
        no_address,
        no_address,
        hardware,
        bytes(64),
        bytes(128),
    )
    body = b"".join(bytes([code, len(value)]) + value for code, value in options)
    return (head + COOKIE + body + bytes([_END])).ljust(300, b"\0")


def read_message(data: bytes) -> Message:
    """The UDP payload of a DHCP message. ValueError when it is none."""
    if len(data) < _HEAD.size + 4 or data[_HEAD.size : _HEAD.size + 4] != COOKIE:
        raise ValueError("not a DHCP message")
    op, _, hardware_length, _, transaction, _, _, _, yours, following, _, hardware, name, file = (
        _HEAD.unpack_from(data)
    )
    options = _options(data[_HEAD.size + 4 :])
    # The two fixed fields may hold more options instead of names (RFC 2131, 4.1).
    overloaded = options.get(_OVERLOAD, b"\0")[0] if options.get(_OVERLOAD) else 0
    if overloaded & 1:
        options |= _options(file)
    if overloaded & 2:
        options |= _options(name)
    named = options.get(Option.BOOT_FILE) or (b"" if overloaded & 1 else file)
    kind = options.get(Option.KIND, b"")
    return Message(
        kind=Kind(kind[0]) if len(kind) == 1 and kind[0] in list(Kind) else None,
        reply=op == 2,
        transaction=transaction,
        mac=":".join(f"{byte:02x}" for byte in hardware[: min(hardware_length, 16)]),
        your_address=IPv4Address(yours),
        next_server=IPv4Address(following),
        file=named.split(b"\0")[0].decode("ascii", "replace"),
        options=options,
    )


def _options(data: bytes) -> dict[int, bytes]:
    """Of a damaged message those that came before the damage. Parts of one option are joined (RFC 3396)."""
    found: dict[int, bytes] = {}
    at = 0
    while at < len(data) and data[at] != _END:
        if data[at] == _PAD:
            at += 1
            continue
        if at + 1 >= len(data) or at + 2 + data[at + 1] > len(data):
            break
        value = data[at + 2 : at + 2 + data[at + 1]]
        found[data[at]] = found.get(data[at], b"") + value
        at += 2 + len(value)
    return found
