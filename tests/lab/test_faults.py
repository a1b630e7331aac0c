"""Every fault breaks what it says, on one machine alone, and healing makes it whole."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from typing import Any

import pytest

from lab.farm_in_a_box import Lab
from lab.faults import FAULTS
from lab.faults.clock import AHEAD_S
from soundstage.errors import Conflict, Invalid

pytestmark = pytest.mark.root
Says = Callable[..., str]
MIB = 2**20


def status(box: Lab, machine: str) -> Any:
    return next(one for one in box.status() if one.name == machine)


def test_without_its_cable_a_machine_runs_on_unseen(healed: Lab, says: Says) -> None:
    boot = says("gpu-1", "cat", "/proc/sys/kernel/random/boot_id")
    healed.inject_fault("gpu-1", "network")
    assert (status(healed, "gpu-1").running, status(healed, "gpu-1").ssh) == (True, False)
    assert status(healed, "gpu-1").faults == ("network",)
    assert says("control", "true") == ""
    console = healed.run_at_console("gpu-1", ["cat", "/proc/sys/kernel/random/boot_id", "/etc/hostname"])
    assert console.stdout.split() == [boot.strip(), "gpu-1"], console.stderr
    assert healed.clear_fault("gpu-1") == ["network"]
    assert says("gpu-1", "cat", "/proc/sys/kernel/random/boot_id") == boot


def test_a_full_disk_takes_not_one_byte_more_and_costs_the_computer_none(healed: Lab, says: Says) -> None:
    image = healed.paths.machine("gpu-1").disk_image
    before = image.stat().st_blocks * 512
    healed.inject_fault("gpu-1", "disk-full")
    done = healed.run("gpu-1", ["python3", "-c", "open('/root/new', 'wb').write(bytes(1 << 20))"])
    assert "No space left on device" in done.stderr
    assert image.stat().st_blocks * 512 < before + 64 * MIB
    assert says("control", "sh", "-c", "echo fine > /root/new && cat /root/new") == "fine"
    healed.clear_fault("gpu-1", "disk-full")
    says("gpu-1", "python3", "-c", "open('/root/new', 'wb').write(bytes(1 << 20))")


def test_a_slow_disk_makes_those_wait_who_want_to_be_sure(healed: Lab, says: Says) -> None:
    write = ["dd", "if=/dev/zero", "of=/root/slow", "bs=64k", "count=32", "conv=fsync"]
    healed.inject_fault("gpu-1", "disk-slow")
    start = time.monotonic()
    says("gpu-1", *write)
    # 2 MiB at 512 KiB per second; a busy computer only makes it longer.
    assert time.monotonic() - start > 2.5
    healed.clear_fault("gpu-1", "disk-slow")
    blkio = says("gpu-1", "sh", "-c", "cat /cg1/blkio/blkio.throttle.write_bps_device 2>/dev/null || true")
    assert blkio == ""


def test_a_wrong_clock_is_wrong_for_all_that_ask_it(healed: Lab, says: Says) -> None:
    healed.inject_fault("gpu-1", "clock")
    for command in (["date", "+%s"], ["python3", "-c", "import time; print(int(time.time()))"]):
        ahead = int(says("gpu-1", *command)) - time.time()
        assert AHEAD_S - 60 < ahead < AHEAD_S + 60, command
    assert abs(int(says("control", "date", "+%s")) - time.time()) < 60
    healed.clear_fault("gpu-1")
    assert abs(int(says("gpu-1", "date", "+%s")) - time.time()) < 60


def test_a_dead_card_is_dead_for_the_driver_the_plugin_and_the_kernels_log(healed: Lab, says: Says) -> None:
    healed.inject_fault("gpu-1", "card-dead")
    smi = healed.run("gpu-1", ["nvidia-smi", "-q", "-x"])
    assert (smi.returncode, "GPU is lost" in smi.stdout) == (15, True)
    cards = json.loads(says("gpu-1", "cat", "/opt/soundstage-lab/gpu/cards.json"))
    assert ["Xid 79" in one.get("fault", "") for one in cards] == [True, False]
    assert "Xid (PCI:0000:01:00): 79" in says("gpu-1", "cat", "/opt/soundstage-lab/gpu/kernel.log")
    healed.clear_fault("gpu-1")
    assert says("gpu-1", "nvidia-smi", "-L").count("GPU ") == 2


def test_a_card_with_bad_memory_works_on_and_says_so_to_those_who_ask(healed: Lab, says: Says) -> None:
    healed.inject_fault("gpu-1", "card-memory")
    assert "<dram_uncorrectable>3<" in says("gpu-1", "nvidia-smi", "-q", "-x")
    healed.clear_fault("gpu-1")
    assert "<dram_uncorrectable>3<" not in says("gpu-1", "nvidia-smi", "-q", "-x")


def test_a_driver_that_does_not_fit_its_programs_answers_nothing(healed: Lab, says: Says) -> None:
    healed.inject_fault("gpu-1", "driver")
    smi = healed.run("gpu-1", ["nvidia-smi", "-L"])
    assert (smi.returncode, smi.stdout.strip()) == (
        18,
        "Failed to initialize NVML: Driver/library version mismatch",
    )
    healed.clear_fault("gpu-1")
    assert says("gpu-1", "nvidia-smi", "-L")


def test_power_that_fails_and_comes_back(healed: Lab, says: Says) -> None:
    says("gpu-1", "sh", "-c", "echo kept > /root/kept && sync /root/kept")
    healed.inject_fault("gpu-1", "power")
    assert not status(healed, "gpu-1").running
    healed.clear_fault("gpu-1")
    healed.power_on("gpu-1")
    assert says("gpu-1", "cat", "/root/kept") == "kept"


def test_a_killed_machines_link_does_not_keep_it_off(healed: Lab) -> None:
    """The kernel may remove it later than the next start."""
    healed.inject_fault("gpu-1", "power")
    boots, link = status(healed, "gpu-1").boots, healed.paths.machine("gpu-1").link
    stale = ["ip", "-n", healed.paths.network, "link", "add", link, "type", "veth", "peer", "name", "stale0"]
    subprocess.run(stale, check=False, capture_output=True)  # it may be there still
    assert healed.clear_fault("gpu-1") == ["power"]
    assert status(healed, "gpu-1").running
    assert status(healed, "gpu-1").boots == boots + 1


def test_a_reset_in_the_middle_of_work(healed: Lab, says: Says) -> None:
    before = says("gpu-1", "cat", "/proc/sys/kernel/random/boot_id")
    healed.inject_fault("gpu-1", "reset")
    healed.power_on("gpu-1")
    assert says("gpu-1", "cat", "/proc/sys/kernel/random/boot_id") != before
    assert status(healed, "gpu-1").faults == ()


def test_two_faults_twice_and_all_healed_at_once(healed: Lab, says: Says) -> None:
    for fault in ("disk-full", "network", "disk-full", "network"):
        healed.inject_fault("gpu-1", fault)
    assert healed.clear_fault("gpu-1") == ["disk-full", "network"]
    assert healed.clear_fault("gpu-1") == []
    says("gpu-1", "sh", "-c", "echo fine > /root/fine")


def test_a_card_cannot_fail_where_there_is_none(healed: Lab) -> None:
    with pytest.raises(Conflict, match="has no NVIDIA card"):
        healed.inject_fault("control", "card-dead")


def test_a_fault_that_there_is_not_is_refused_with_those_that_there_are(box: Lab) -> None:
    with pytest.raises(Invalid) as caught:
        box.inject_fault("control", "gremlins")
    assert all(name in caught.value.hint for name in FAULTS)
