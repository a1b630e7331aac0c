"""Reads a capture of a network boot as a list of steps that a person can follow.

A step is one packet that matters: a DHCP message, the beginning of a TFTP transfer, an HTTP request.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from pxe.network.dhcp_messages import (
    CLIENT_PORT,
    PROXY_PORT,
    SERVER_PORT,
    Kind,
    Message,
    Option,
    read_message,
)

_ETHERNET_IPV4 = b"\x08\x00"
_TCP, _UDP = 6, 17
_TFTP, _HTTP = 69, 80
_PCAP = struct.Struct("<IHHiIII")
_PCAP_MAGIC, _LINK_ETHERNET = 0xA1B2C3D4, 1
_RECORD = struct.Struct("<IIII")
_OPTIONS_SHOWN = {
    Option.VENDOR_CLASS: "class",
    Option.VENDOR_SPECIFIC: "option 43",
}


@dataclass(frozen=True, slots=True)
class Frame:
    """One Ethernet frame, `at_s` after the first."""

    at_s: float
    data: bytes


@dataclass(frozen=True, slots=True)
class Packet:
    """UDP or TCP over IPv4."""

    at_s: float
    source: IPv4Address
    target: IPv4Address
    source_port: int
    target_port: int
    payload: bytes
    is_udp: bool


@dataclass(frozen=True, slots=True)
class Step:
    """`what` is DISCOVER, OFFER …, `TFTP` or `HTTP`; `file` is what was offered or asked for."""

    at_s: float
    what: str
    source: IPv4Address
    target: IPv4Address
    file: str
    message: Message | None = None

    @property
    def line(self) -> str:
        way = f"{self.source!s:>15} → {self.target!s:<15}"
        return f"{self.at_s:7.2f} s  {way}  {self.what:<8} {self._says()}".rstrip()

    def _says(self) -> str:
        if self.message is None:
            return self.file
        output = []
        if not self.message.reply:
            output.append("iPXE" if Option.IPXE in self.message.options else "firmware")
            if self.message.architecture is not None:
                output.append(f"architecture {self.message.architecture}")
        if self.message.gives_addresses:
            output.append(f"address {self.message.your_address}")
        if self.file:
            output.append(f"file {self.file}")
        for option, name in _OPTIONS_SHOWN.items():
            value = self.message.options.get(option)
            if value and self.message.reply:
                output.append(f"{name} {value.decode() if option is Option.VENDOR_CLASS else value.hex(':')}")
        return ", ".join(output)


def steps(frames: Iterable[Frame]) -> list[Step]:
    """What happened, in order. Answers that hold file contents are left out."""
    return [step for packet in _packets(frames) if (step := _step(packet)) is not None]


def read_capture(path: Path) -> list[Frame]:
    """The frames of a pcap file of Ethernet, as `tcpdump -w` and `write_capture` make it. ValueError for
    another file.
    """
    data = path.read_bytes()
    if len(data) < _PCAP.size or _PCAP.unpack_from(data)[0] != _PCAP_MAGIC or _PCAP.unpack_from(data)[6] != 1:
        raise ValueError(
            f"{path} is no capture of Ethernet with microseconds, written by a little-endian machine"
        )
    frames: list[Frame] = []
    at, began = _PCAP.size, 0.0
    while at + _RECORD.size <= len(data):
        seconds, micros, stored, _ = _RECORD.unpack_from(data, at)
        at += _RECORD.size
        when = seconds + micros / 1e6
        began = began or when
        frames.append(Frame(when - began, data[at : at + stored]))
        at += stored
    return frames


def write_capture(path: Path, frames: Iterable[Frame]) -> None:
    """A pcap file that Wireshark reads; its clock begins at zero."""
    with path.open("wb") as file:
        file.write(_PCAP.pack(_PCAP_MAGIC, 2, 4, 0, 0, 65535, _LINK_ETHERNET))
        for frame in frames:
            micros = round(frame.at_s * 1e6)
            size = len(frame.data)
            file.write(_RECORD.pack(micros // 1_000_000, micros % 1_000_000, size, size) + frame.data)


def _packets(frames: Iterable[Frame]) -> Iterator[Packet]:
    for frame in frames:
        data = frame.data
        if len(data) < 34 or data[12:14] != _ETHERNET_IPV4:
            continue
        head = 14 + (data[14] & 15) * 4
        protocol = data[23]
        fragment = int.from_bytes(data[20:22], "big") & 0x1FFF
        if protocol not in (_TCP, _UDP) or fragment or len(data) < head + 8:
            continue
        source_port, target_port = struct.unpack_from("!HH", data, head)
        inner = 8 if protocol == _UDP else (data[head + 12] >> 4) * 4 if len(data) > head + 12 else 0
        end = 14 + int.from_bytes(data[16:18], "big")
        yield Packet(
            at_s=frame.at_s,
            source=IPv4Address(data[26:30]),
            target=IPv4Address(data[30:34]),
            source_port=source_port,
            target_port=target_port,
            payload=data[head + inner : end],
            is_udp=protocol == _UDP,
        )


def _step(packet: Packet) -> Step | None:
    if packet.is_udp and {packet.source_port, packet.target_port} & {SERVER_PORT, CLIENT_PORT, PROXY_PORT}:
        return _dhcp_step(packet)
    if packet.is_udp and packet.target_port == _TFTP and packet.payload[:2] == b"\0\1":
        file = packet.payload[2:].split(b"\0")[0].decode("ascii", "replace")
        return Step(packet.at_s, "TFTP", packet.source, packet.target, file)
    if not packet.is_udp and packet.payload[:4] in (b"GET ", b"HEAD"):
        file = packet.payload.split(b" ")[1].decode("ascii", "replace")
        return Step(packet.at_s, "HTTP", packet.source, packet.target, file)
    return None


def _dhcp_step(packet: Packet) -> Step | None:
    try:
        message = read_message(packet.payload)
    except ValueError:
        return None
    what = message.kind.name if message.kind is not None else "BOOTP"
    if PROXY_PORT in (packet.source_port, packet.target_port):
        what = f"{what}:{PROXY_PORT}" if message.kind is not Kind.REQUEST else f"ASK:{PROXY_PORT}"
    return Step(packet.at_s, what, packet.source, packet.target, message.file, message)
