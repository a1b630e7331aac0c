"""A whole computer in the lab's network: firmware, disk and network card by QEMU, so that power-on can be
tried (used by tests of network boot and of whatever needs a kernel of its own, and by bench/metal).

It is emulated, ten to twenty times slower than metal, unless SOUNDSTAGE_LAB_KVM=1 says that this computer can
lend its processor. Its processes and its cable belong to the lab: `Lab.down` takes them away too.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, TextIO

from lab.control_groups import end_all, machine_group, processes_of
from lab.network import BRIDGE
from lab.paths import LabPaths, MachinePaths
from lab.programs import run_program
from lab.ssh_access import enter_command
from soundstage.errors import Unavailable

_PACKAGES = {
    "/usr/bin/qemu-system-x86_64": "qemu-system-x86",
    "/usr/lib/ipxe/qemu/efi-virtio.rom": "ipxe-qemu",
    "/usr/share/OVMF/OVMF_CODE_4M.fd": "ovmf",
}
_OVMF = Path("/usr/share/OVMF")


class Firmware(StrEnum):
    BIOS = "bios"
    UEFI = "uefi"


@dataclass(frozen=True, slots=True)
class QemuPlan:
    """The hardware of the emulated computer.

    `other_macs`: more network cards, in the same network and before the one that boots, so that firmware and
    kernel count them first. `network_rom`: the boot ROM of its card; the default is iPXE for BIOS, and none
    for UEFI, whose firmware boots by HTTP itself. An empty text is no ROM. `clock`: what its clock says at
    power-on, UTC as `2026-01-31T12:00:00`; empty: the right time. `disk_fault`: a QEMU blkdebug
    configuration. `kernel`, `ramdisk` and `kernel_options` start a kernel without firmware's help; by default
    the network is booted first and the disk second.
    """

    name: str
    mac: str
    firmware: Firmware = Firmware.BIOS
    uuid: str = ""
    other_macs: tuple[str, ...] = ()
    memory_mib: int = 1024
    processors: int = 2
    network_rom: str | None = None
    clock: str = ""
    disk_fault: str = ""
    kernel: Path | None = None
    ramdisk: Path | None = None
    kernel_options: str = ""
    more_options: tuple[str, ...] = field(default=())


def why_no_qemu() -> str | None:
    """Returns what to install before machines can be emulated; None when all is there."""
    missing = sorted({package for file, package in _PACKAGES.items() if not Path(file).exists()})
    return f"Run: apt-get install --no-install-recommends {' '.join(missing)}" if missing else None


def accelerator() -> str:
    """Returns whether to use KVM, only where it is configured: a rented computer may have it and fail in the
    guest.
    """
    return "kvm" if os.environ.get("SOUNDSTAGE_LAB_KVM") == "1" else "tcg,thread=multi"


def make_empty_disk(path: Path, gib: float) -> Path:
    """Takes no room until it is written."""
    with path.open("wb") as file:
        file.truncate(int(gib * (1 << 30)))
    return path


def _answer(lines: TextIO) -> dict[str, Any]:
    """The next line that is no event; EOFError when QEMU has ended."""
    while line := lines.readline():
        message: dict[str, Any] = json.loads(line)
        if "event" not in message:
            return message
    raise EOFError("it has ended")


class QemuMachine:
    """One computer. `disk` is a raw file; None: a computer without one."""

    def __init__(self, lab: LabPaths, plan: QemuPlan, disk: Path | None) -> None:
        self.plan = plan
        self.disk = disk
        self.folder = lab.folder / "qemu" / plan.name
        self._lab = lab
        self._group = machine_group(MachinePaths(lab, f"qemu-{plan.name}"))
        names = (f"qemu-{plan.name}", *(f"qemu-{plan.name}-{mac}" for mac in plan.other_macs))
        self._cable, *self._other_cables = (MachinePaths(lab, name).id for name in names)

    @property
    def console(self) -> str:
        """Everything that it has printed on its first serial line since it was first switched on."""
        try:
            return (self.folder / "console.log").read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def power_on(self) -> None:
        """Returns when its monitor answers. Unavailable when QEMU does not start."""
        if (missing := why_no_qemu()) is not None:
            raise Unavailable("lab.no_qemu", "Programs that emulate a computer are missing.", missing)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._group.mkdir(parents=True, exist_ok=True)
        self._plug_in()
        (self.folder / "qmp").unlink(missing_ok=True)
        with (self.folder / "qemu.log").open("ab") as log:
            process = subprocess.Popen(
                [*enter_command(self._lab), *self.command()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=self.folder,
            )
        with suppress(ProcessLookupError):
            (self._group / "cgroup.procs").write_text(str(process.pid))
        until = time.monotonic() + 60
        while not self._answers():
            if process.poll() is not None or time.monotonic() > until:
                output = (self.folder / "qemu.log").read_text(errors="replace")[-500:]
                raise Unavailable("lab.qemu_failed", f"QEMU does not start: {output}", "See its log.")
            time.sleep(0.02)

    def _answers(self) -> bool:
        """QEMU binds its socket before it listens there: the file alone says little."""
        try:
            self.monitor("query-status")
        except Unavailable:
            return False
        return True

    def power_off(self) -> None:
        """As when its cable is pulled. Nothing when it is off."""
        end_all(self._group)

    def is_on(self) -> bool:
        return bool(processes_of(self._group))

    def press_reset(self) -> None:
        self.monitor("system_reset")

    def monitor(self, command: str, **arguments: Any) -> Any:
        """One command of QEMU's machine protocol (QMP), and what it returned."""
        calls = ({"execute": "qmp_capabilities"}, {"execute": command, "arguments": arguments})
        try:
            with socket.socket(socket.AF_UNIX) as link:
                link.settimeout(30)
                link.connect(str(self.folder / "qmp"))
                with link.makefile("rw") as lines:
                    lines.readline()
                    for call in calls:
                        lines.write(json.dumps(call) + "\n")
                        lines.flush()
                        answer = _answer(lines)
        except (OSError, EOFError) as error:
            raise Unavailable(
                "lab.qemu_gone", f"{command}: QEMU does not answer: {error}", "See its log."
            ) from error
        if "error" in answer:
            raise Unavailable("lab.qemu_refused", f"{command}: {answer['error']}", "See QEMU's log.")
        return answer["return"]

    def disk_operations(self) -> tuple[int, int]:
        """Returns how often its disk has been read and written since it was switched on."""
        (stats,) = [
            one["stats"] for one in self.monitor("query-blockstats") if one.get("node-name") == "disk0"
        ]
        return stats["rd_operations"], stats["wr_operations"]

    def command(self) -> list[str]:
        """The command line, for those who want to see it."""
        plan = self.plan
        how = accelerator()
        words = ["/usr/bin/qemu-system-x86_64", "-name", plan.name, "-machine", "q35", "-nodefaults"]
        words += ["-accel", how, "-cpu", "host" if how == "kvm" else "max"]
        words += ["-smp", str(plan.processors), "-m", str(plan.memory_mib), "-display", "none"]
        words += ["-chardev", f"file,id=console,path={self.folder}/console.log,append=on"]
        words += ["-serial", "chardev:console", "-qmp", f"unix:{self.folder}/qmp,server=on,wait=off"]
        for turn, (mac, cable) in enumerate(zip(plan.other_macs, self._other_cables, strict=True)):
            words += ["-netdev", f"tap,id=other{turn},ifname={cable},script=no,downscript=no"]
            words += ["-device", f"virtio-net-pci,netdev=other{turn},mac={mac},romfile="]
        words += ["-netdev", f"tap,id=cable,ifname={self._cable},script=no,downscript=no"]
        words += ["-device", "virtio-rng-pci"]
        words += ["-device", f"virtio-net-pci,netdev=cable,mac={plan.mac}{self._boots(0)}{self._rom()}"]
        words += ["-rtc", f"base={plan.clock or 'utc'}"]
        if plan.uuid:
            words += ["-uuid", plan.uuid]
        if self.disk is not None:
            words += self._disk_options(self.disk)
        if plan.firmware is Firmware.UEFI:
            words += self._uefi_options()
        if plan.kernel is not None:
            words += ["-kernel", str(plan.kernel), "-append", plan.kernel_options]
            words += ["-initrd", str(plan.ramdisk)] if plan.ramdisk is not None else []
        return [*words, *plan.more_options]

    def _boots(self, turn: int) -> str:
        # A kernel that QEMU itself starts takes the first turn.
        return f",bootindex={turn}" if self.plan.kernel is None else ""

    def _rom(self) -> str:
        rom = self.plan.network_rom
        if rom is None and self.plan.firmware is Firmware.BIOS:
            # QEMU fits its own choice, iPXE, to the card; a file that is named SeaBIOS would pass by.
            return ""
        return f",romfile={rom or ''}"

    def _disk_options(self, disk: Path) -> list[str]:
        # Host caching without flushes: what a test writes need not survive this computer's own crash.
        file = "driver=file,node-name=file0,cache.no-flush=on,discard=unmap,filename=" + str(disk)
        words = ["-blockdev", file]
        node = "file0"
        if self.plan.disk_fault:
            rules = self.folder / "disk-fault.conf"
            rules.write_text(self.plan.disk_fault)
            words += ["-blockdev", f"driver=blkdebug,node-name=fault0,image=file0,config={rules}"]
            node = "fault0"
        words += ["-blockdev", f"driver=raw,node-name=disk0,file={node},cache.no-flush=on,discard=unmap"]
        serial = f"disk-{self.plan.name}"[:20]
        return [*words, "-device", f"virtio-blk-pci,drive=disk0,serial={serial}{self._boots(1)}"]

    def _uefi_options(self) -> list[str]:
        variables = self.folder / "efi-variables.fd"
        if not variables.exists():
            shutil.copyfile(_OVMF / "OVMF_VARS_4M.fd", variables)
        words = ["-drive", f"if=pflash,format=raw,readonly=on,file={_OVMF}/OVMF_CODE_4M.fd"]
        words += ["-drive", f"if=pflash,format=raw,file={variables}"]
        # Each would be tried first and waited for, a minute long.
        for name in ("IPv4PXESupport", "IPv6PXESupport", "IPv6Support"):
            words += ["-fw_cfg", f"name=opt/org.tianocore/{name},string=n"]
        return words

    def _plug_in(self) -> None:
        """Its cables, to the lab's bridge; they stay when the machine is switched off."""
        links = run_program(["ip", "-n", self._lab.network, "-json", "link"], doing="Looking at the cables")
        there = {one.get("ifname") for one in json.loads(links)}
        missing = [one for one in (self._cable, *self._other_cables) if one not in there]
        if not missing:
            return
        add = "tuntap add {0} mode tap\nlink set {0} master " + BRIDGE + " up\n"
        batch = "".join(add.format(one) for one in missing)
        run_program(["ip", "-n", self._lab.network, "-batch", "-"], doing="Plugging a cable in", stdin=batch)
