"""The cable between a QEMU machine and a bridge in a network namespace: it keeps every frame, and can make an
iPXE firmware pose as a plain PXE one.

QEMU's BIOS firmware for network cards is iPXE itself, so the first link of the chain (plain PXE fetches
`undionly.kpxe` by TFTP) would never be walked. A posing cable takes iPXE's two marks, options 77 and 175, out
of what the firmware sends until it asks for its first file; what is started then speaks for itself.
"""

from __future__ import annotations

import fcntl
import os
import select
import socket
import struct
import threading
import time
from pathlib import Path

from boot_packets import Frame

from pxe.network.dhcp_messages import CLIENT_PORT, COOKIE, Option

_TUNSETIFF, _IFF_TAP, _IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
_LARGEST_FRAME = 65536


class Wire:
    """Made by a thread that is in the namespace; `tap` is to be put on the bridge."""

    def __init__(self, folder: Path, tap: str, *, posing: bool = False) -> None:
        self.tap = tap
        self.frames: list[Frame] = []
        self._posing = posing
        self._began = time.monotonic()
        self._machine_end, self._our_end = folder / f"{tap}.machine", folder / f"{tap}.wire"
        self._tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(self._tap, _TUNSETIFF, struct.pack("16sH22x", tap.encode(), _IFF_TAP | _IFF_NO_PI))
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
        self._socket.bind(str(self._our_end))
        self._stop_read, self._stop_write = os.pipe()
        self._thread = threading.Thread(target=self._carry, name=f"wire {tap}", daemon=True)
        self._thread.start()

    @property
    def qemu_arguments(self) -> list[str]:
        ends = f"local.type=unix,local.path={self._machine_end},remote.type=unix,remote.path={self._our_end}"
        return ["-netdev", f"dgram,id=wire,{ends}"]

    def close(self) -> None:
        """The tap goes with it."""
        os.close(self._stop_write)
        self._thread.join()
        for descriptor in (self._tap, self._stop_read):
            os.close(descriptor)
        self._socket.close()

    def _carry(self) -> None:
        while True:
            ready, _, _ = select.select([self._tap, self._socket, self._stop_read], [], [])
            if self._stop_read in ready:
                return
            if self._socket in ready:
                frame = self._socket.recv(_LARGEST_FRAME)
                if self._posing:
                    frame = self._unmarked(frame)
                self._keep(frame)
                os.write(self._tap, frame)
            if self._tap in ready:
                frame = os.read(self._tap, _LARGEST_FRAME)
                self._keep(frame)
                try:
                    self._socket.sendto(frame, str(self._machine_end))
                except (FileNotFoundError, ConnectionRefusedError):
                    continue  # the machine is not switched on

    def _keep(self, frame: bytes) -> None:
        self.frames.append(Frame(time.monotonic() - self._began, frame))

    def _unmarked(self, frame: bytes) -> bytes:
        """A DHCP message without the marks of iPXE. Asking for a file ends the pose."""
        if frame[12:14] != b"\x08\x00" or frame[23] != socket.IPPROTO_UDP:
            return frame
        udp = 14 + (frame[14] & 15) * 4
        source, target = struct.unpack_from("!HH", frame, udp)
        if target == 69:
            self._posing = False
        options = frame.find(COOKIE, udp) + 4
        if source != CLIENT_PORT or options < 4:
            return frame
        changed = bytearray(frame)
        while options + 1 < len(changed) and changed[options] != 255:
            if changed[options] == 0:
                options += 1
                continue
            size = 2 + changed[options + 1]
            if changed[options] in (Option.USER_CLASS, Option.IPXE):
                changed[options : options + size] = bytes(size)
            options += size
        changed[udp + 6 : udp + 8] = b"\0\0"  # no checksum, which UDP over IPv4 allows
        return bytes(changed)
