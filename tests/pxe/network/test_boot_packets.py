"""Captures are read as steps, and what is no capture or is cut off does no harm."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from boot_packets import Frame, read_capture, steps, write_capture

from pxe.network.dhcp_messages import CLIENT_PORT, SERVER_PORT, discover


def frame(at_s: float, protocol: int, source: int, target: int, payload: bytes) -> Frame:
    """An Ethernet frame from 10.0.0.1 to 10.0.0.2."""
    if protocol == 17:
        inner = struct.pack("!HHHH", source, target, 8 + len(payload), 0)
    else:
        inner = struct.pack("!HHIIBBHHH", source, target, 0, 0, 5 << 4, 0x18, 0, 0, 0)
    total = 20 + len(inner) + len(payload)
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, total, 0, 0, 64, protocol, 0, b"\n\0\0\1", b"\n\0\0\2")
    return Frame(at_s, bytes(12) + b"\x08\x00" + head + inner + payload)


WALK = [
    frame(0.5, 17, CLIENT_PORT, SERVER_PORT, discover("52:54:00:12:34:56", 1, asks_to_boot=True)),
    frame(1.25, 17, 2070, 69, b"\0\1undionly.kpxe\0octet\0"),
    frame(1.5, 17, 69, 2070, b"\0\3\0\1" + bytes(512)),
    frame(2.0, 6, 40000, 80, b"GET /boot/first.ipxe HTTP/1.1\r\nHost: boot\r\n\r\n"),
    Frame(2.5, bytes(12) + b"\x86\xdd" + bytes(60)),
]


def test_a_walk_is_told_in_steps_and_contents_are_left_out() -> None:
    seen = steps(WALK)
    assert [(step.what, step.file) for step in seen] == [
        ("DISCOVER", ""),
        ("TFTP", "undionly.kpxe"),
        ("HTTP", "/boot/first.ipxe"),
    ]
    assert seen[0].line.endswith("10.0.0.1 → 10.0.0.2         DISCOVER firmware, architecture 0")


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    file = tmp_path / "walk.pcap"
    write_capture(file, WALK)
    again = read_capture(file)
    assert [one.data for one in again] == [one.data for one in WALK]
    assert [round(one.at_s, 6) for one in again] == [0.0, 0.75, 1.0, 1.5, 2.0], "seconds since the first"


@pytest.mark.parametrize("content", [b"", b"no capture at all, but long enough to hold a head"])
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "other"
    file.write_bytes(content)
    with pytest.raises(ValueError, match="is no capture"):
        read_capture(file)


@pytest.mark.parametrize("size", range(0, 120, 7))
def test_a_frame_that_is_cut_off_is_no_error(size: int) -> None:
    for one in WALK:
        assert len(steps([Frame(0, one.data[:size])])) <= 1
