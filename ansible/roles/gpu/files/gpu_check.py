"""Asks the NVIDIA driver whether every card works; `soundstage-health` calls it, the role gpu installs it.

Prints one JSON line per problem (code, message, hint) and ends with 0; any other status says that the check
itself broke. Only the standard library: it runs with the machine's own Python.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

# Exit status of nvidia-smi, from its manual.
NO_DEVICES = 6
REPLACE = "Drain the node, reset or reseat the card, and reboot; replace it when the fault comes back."

# https://docs.nvidia.com/deploy/xid-errors/: those that speak of the card. Others (13, 31, 43, 45 …) are
# faults of one program and say nothing about the next one.
XIDS = {
    48: "an uncorrectable memory error",
    61: "its microcontroller stopped",
    62: "its microcontroller stopped",
    64: "a memory row could not be remapped",
    74: "an NVLink error",
    79: "it has fallen off the bus",
    92: "a high rate of memory errors",
    95: "an uncontained memory error",
    119: "its system processor does not answer",
    120: "its system processor failed",
    140: "an unrecovered memory error",
}
XID_LINE = re.compile(r"NVRM: Xid \(PCI:(?P<address>[0-9a-fA-F:.]+)\): (?P<number>\d+)")


def main() -> int:
    arguments = _arguments()
    for problem in problems(arguments):
        print(json.dumps(problem))
    return 0


def problems(arguments: argparse.Namespace) -> Iterator[dict[str, str]]:
    """Every problem, those of the driver first. Without an answer of the driver there is only one."""
    report = subprocess.run(
        [arguments.nvidia_smi, "-q", "-x"], capture_output=True, text=True, timeout=60, check=False
    )
    if report.returncode == NO_DEVICES:
        yield from _of_count([], arguments)
        return
    if report.returncode != 0:
        yield _of_driver((report.stdout + report.stderr).strip())
        yield from _of_kernel_log(arguments.kernel_log)
        return
    cards = ElementTree.fromstring(report.stdout).findall("gpu")  # noqa: S314 -- the driver's own words
    if arguments.memory_test_mib:
        busy = {
            number for number, card in enumerate(cards) if card.find("processes/process_info") is not None
        }
        yield from _of_memory(arguments.libcuda, arguments.memory_test_mib, busy)
        return
    yield from _of_count([_address(card.get("id", "")) for card in cards], arguments)
    for card in cards:
        yield from _of_card(card)
    yield from _of_kernel_log(arguments.kernel_log)


def _of_driver(output: str) -> dict[str, str]:
    first_line = output.splitlines()[0] if output else "nothing"
    if "version mismatch" in output:
        return _problem(
            "gpu.driver_mismatch",
            f"The loaded kernel module and the driver's programs are of different versions: {first_line}",
            "Reboot the machine; converge it again when that does not help.",
        )
    if "is lost" in output:
        return _problem("gpu.card_lost", f"The driver has lost a card: {first_line}", REPLACE)
    return _problem(
        "gpu.driver_silent",
        f"The NVIDIA driver does not answer: {first_line}",
        "Look at `dmesg` for NVRM lines and at `lsmod`; converge the machine again to build the driver anew.",
    )


def _of_count(addresses: list[str], arguments: argparse.Namespace) -> Iterator[dict[str, str]]:
    missing = [one for one in map(_address, arguments.address) if one not in addresses]
    for address in missing:
        yield _problem("gpu.card_missing", f"The driver does not see the card at {address}.", REPLACE)
    if not missing and len(addresses) < arguments.expected:
        yield _problem(
            "gpu.too_few_cards",
            f"The driver sees {len(addresses)} cards, and {arguments.expected} are expected.",
            REPLACE,
        )


def _of_card(card: ElementTree.Element) -> Iterator[dict[str, str]]:
    who = f"{card.findtext('product_name', 'card')} at {_address(card.get('id', ''))}"
    volatile = card.find("ecc_errors/volatile")
    if volatile is not None:
        # "sram_uncorrectable", "dram_uncorrectable", "double_bit/total": the names changed with the driver.
        counts = {
            leaf.tag: int(text)
            for leaf in volatile.iter()
            if ("uncorrectable" in leaf.tag) and (text := (leaf.text or "").strip()).isdigit()
        }
        if any(counts.values()):
            yield _problem(
                "gpu.ecc",
                f"{who} has had {sum(counts.values())} uncorrectable memory errors since it was started.",
                REPLACE,
            )
    if card.findtext("remapped_rows/remapped_row_failure", "No").strip() == "Yes":
        yield _problem("gpu.rows_used_up", f"{who} has no spare memory rows left.", "Replace the card.")
    if card.findtext("gpu_recovery_action", "None").strip() not in ("None", "N/A", ""):
        action = card.findtext("gpu_recovery_action", "")
        yield _problem("gpu.needs_recovery", f"{who} asks to be recovered: {action}.", REPLACE)


def _of_kernel_log(source: str) -> Iterator[dict[str, str]]:
    if source == "journal":
        text = subprocess.run(
            ["journalctl", "--dmesg", "--boot", "--output=cat", "--grep=NVRM: Xid", "--no-pager", "--quiet"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,  # 1 where nothing matches
        ).stdout
    else:
        text = Path(source).read_text(errors="replace") if Path(source).exists() else ""
    seen = {(_address(one["address"]), int(one["number"])) for one in XID_LINE.finditer(text)}
    for address, number in sorted(seen):
        if number in XIDS:
            yield _problem(
                "gpu.xid",
                f"The card at {address} reported error {number} since the last boot: {XIDS[number]}.",
                REPLACE,
            )


def _of_memory(library: str, mib: int, busy: set[int]) -> Iterator[dict[str, str]]:
    """Let each card write a pattern and read it back, by the driver's own library.

    Cards on which programs run are left alone: they compute already, and may need the last of their memory.
    """
    os.environ["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"  # the order of nvidia-smi
    try:
        cuda = ctypes.CDLL(library)
    except OSError as error:
        yield _problem(
            "gpu.no_library", f"{library} cannot be loaded: {error}", "Converge the machine again."
        )
        return
    count = ctypes.c_int()
    if status := cuda.cuInit(0) or cuda.cuDeviceGetCount(ctypes.byref(count)):
        yield _problem(
            "gpu.compute", f"The cards cannot be used for computing (CUDA error {status}).", REPLACE
        )
        return
    for number in set(range(count.value)) - busy:
        if failed := _write_and_read(cuda, number, mib * 1024 * 1024 // 4):
            yield _problem(
                "gpu.compute", f"Card {number} failed a write and read of {mib} MiB: {failed}.", REPLACE
            )


def _write_and_read(cuda: ctypes.CDLL, number: int, words: int) -> str:
    """Returns the error of a CUDA call, or "". https://docs.nvidia.com/cuda/cuda-driver-api/"""
    pattern = 0x5AA5F00F
    context, memory, device = ctypes.c_void_p(), ctypes.c_uint64(), ctypes.c_int()
    back = (ctypes.c_uint32 * words)()
    if status := cuda.cuDeviceGet(ctypes.byref(device), number):
        return f"CUDA error {status}"
    if status := cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), device):
        return f"CUDA error {status}"
    try:
        status = cuda.cuCtxSetCurrent(context) or cuda.cuMemAlloc_v2(
            ctypes.byref(memory), ctypes.c_size_t(words * 4)
        )
        if status == 2:
            return ""  # out of memory: others use the card, which shows that it works
        if status:
            return f"CUDA error {status}"
        status = (
            cuda.cuMemsetD32_v2(memory, pattern, ctypes.c_size_t(words))
            or cuda.cuMemcpyDtoH_v2(back, memory, ctypes.c_size_t(words * 4))
            or cuda.cuMemFree_v2(memory)
        )
        if status:
            return f"CUDA error {status}"
        return (
            "" if bytes(back) == pattern.to_bytes(4, sys.byteorder) * words else "it read back something else"
        )
    finally:
        cuda.cuDevicePrimaryCtxRelease_v2(device)


def _address(text: str) -> str:
    """`00000000:3B:00.0` (nvidia-smi), `0000:3b:00` (kernel log) and `0000:3b:00.0` (sysfs) in one form."""
    domain, _, rest = text.lower().partition(":")
    rest = rest if "." in rest else f"{rest}.0"
    return f"{domain[-4:]:0>4}:{rest}"


def _problem(code: str, message: str, hint: str) -> dict[str, str]:
    return {"code": code, "message": message, "hint": hint}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Ask the NVIDIA driver whether every card works.")
    parser.add_argument("--expected", type=int, default=0, help="how many cards there must be")
    parser.add_argument(
        "--address", action="append", default=[], help="PCI address of a card that must be there"
    )
    parser.add_argument("--nvidia-smi", default="nvidia-smi")
    parser.add_argument("--kernel-log", default="journal", help="`journal`, or a file")
    parser.add_argument(
        "--memory-test-mib",
        type=int,
        default=0,
        help="test only the memory of cards that are free, so much of each",
    )
    parser.add_argument("--libcuda", default="libcuda.so.1")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
