"""Magic packets (AMD, 1995): six bytes FF, then the MAC address sixteen times, by UDP broadcast."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence

from soundstage.errors import Unavailable


def magic_packet(mac: str) -> bytes:
    """102 bytes."""
    return b"\xff" * 6 + bytes.fromhex(mac.replace(":", "")) * 16


async def wake(macs: Sequence[str], broadcast: str, port: int) -> None:
    """Sends one packet per address; whether anything wakes up nobody tells."""
    await asyncio.to_thread(_send, [magic_packet(mac) for mac in macs], broadcast, port)


def _send(packets: Sequence[bytes], broadcast: str, port: int) -> None:
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            for packet in packets:
                sender.sendto(packet, (broadcast, port))
    except OSError as error:
        raise Unavailable(
            "power.not_sent",
            f"The packet for {broadcast} could not be sent: {error.strerror}.",
            "Set `broadcast` to the broadcast address of the machine's network.",
        ) from error
