"""The card check names every fault that a driver can report, and nothing on a machine whose cards work."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from sentences import SentenceSnapshot
from stand_in_driver import Reported, answering, refusing

PROGRAM = Path(__file__).resolve().parents[2] / "ansible" / "roles" / "gpu" / "files" / "gpu_check.py"


def findings(
    driver: Path, *cards: Reported, log: str = "", arguments: tuple[str, ...] = ()
) -> list[dict[str, str]]:
    """Returns the findings where `cards` are expected."""
    kernel_log = driver.parent / "kernel.log"
    kernel_log.write_text(log)
    command = [sys.executable, "-I", PROGRAM, "--expected", str(len(cards)), "--nvidia-smi", driver]
    command += ["--kernel-log", kernel_log, *(f"--address={card.address}" for card in cards), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def codes(problems: list[dict[str, str]]) -> list[str]:
    return [problem["code"] for problem in problems]


@pytest.mark.parametrize("count", [0, 1, 8])
def test_cards_that_work_are_no_problem(tmp_path: Path, count: int) -> None:
    cards = [Reported(0x10 + number) for number in range(count)]
    assert findings(answering(tmp_path, *cards), *cards) == []


def test_a_card_that_the_driver_does_not_see_is_named_by_its_address(tmp_path: Path) -> None:
    problems = findings(answering(tmp_path, Reported(0x10)), Reported(0x10), Reported(0x3B))
    assert codes(problems) == ["gpu.card_missing"]
    assert "0000:3b:00.0" in problems[0]["message"]


def test_too_few_cards_are_said_where_no_addresses_are_known(tmp_path: Path) -> None:
    problems = findings(answering(tmp_path, Reported(0x10)), arguments=("--expected", "2"))
    assert codes(problems) == ["gpu.too_few_cards"]


def test_uncorrectable_memory_errors_since_the_start_are_a_fault_and_corrected_ones_are_not(
    tmp_path: Path,
) -> None:
    problems = findings(answering(tmp_path, Reported(0x10, uncorrectable=2)), Reported(0x10))
    assert codes(problems) == ["gpu.ecc"]
    assert "NVIDIA L4 at 0000:10:00.0 has had 2 uncorrectable" in problems[0]["message"]


def test_a_card_without_spare_rows_is_to_be_replaced(tmp_path: Path) -> None:
    assert codes(findings(answering(tmp_path, Reported(0x10, rows_used_up=True)), Reported(0x10))) == [
        "gpu.rows_used_up"
    ]


def test_a_card_that_asks_to_be_recovered_is_named(tmp_path: Path) -> None:
    assert codes(findings(answering(tmp_path, Reported(0x10, recovery="Reboot")), Reported(0x10))) == [
        "gpu.needs_recovery"
    ]


def test_an_xid_of_the_card_is_a_fault_and_one_of_a_program_is_not(
    tmp_path: Path, snapshot: SentenceSnapshot
) -> None:
    log = (
        "[  12.1] NVRM: Xid (PCI:0000:10:00): 31, pid=812, name=python3, Ch 00000008, MMU Fault\n"
        "[  99.8] NVRM: Xid (PCI:0000:11:00): 79, pid='<unknown>', GPU has fallen off the bus.\n"
        "[  99.9] NVRM: Xid (PCI:0000:11:00): 79, pid='<unknown>', GPU has fallen off the bus.\n"
    )
    cards = (Reported(0x10), Reported(0x11))
    problems = findings(answering(tmp_path, *cards), *cards, log=log)
    assert [problem["message"] for problem in problems] == [snapshot("xid")]


def test_a_driver_of_another_version_than_its_module_asks_for_a_reboot(tmp_path: Path) -> None:
    words = "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 550.163"
    problems = findings(refusing(tmp_path, words, 18), Reported(0x10))
    assert codes(problems) == ["gpu.driver_mismatch"]
    assert problems[0]["hint"].startswith("Reboot the machine")


def test_a_driver_that_is_not_loaded_is_said_in_its_own_words(tmp_path: Path) -> None:
    words = "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver."
    problems = findings(refusing(tmp_path, words, 9), Reported(0x10))
    assert codes(problems) == ["gpu.driver_silent"]
    assert words in problems[0]["message"]


def test_a_driver_that_finds_no_device_misses_every_card(tmp_path: Path) -> None:
    problems = findings(refusing(tmp_path, "No devices were found", 6), Reported(0x10), Reported(0x11))
    assert codes(problems) == ["gpu.card_missing", "gpu.card_missing"]


def test_a_card_that_fell_off_the_bus_is_lost_and_the_kernel_says_which(tmp_path: Path) -> None:
    words = "Unable to determine the device handle for GPU1: 0000:11:00.0: GPU is lost.  Reboot the system"
    log = "NVRM: Xid (PCI:0000:11:00): 79, GPU has fallen off the bus."
    problems = findings(refusing(tmp_path, words, 15), Reported(0x10), Reported(0x11), log=log)
    assert codes(problems) == ["gpu.card_lost", "gpu.xid"]


@pytest.fixture(scope="module")
def libcuda(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stand-in for the driver's library, with two cards."""
    if shutil.which("gcc") is None:
        pytest.skip("needs a C compiler: apt-get install gcc libc6-dev")
    library = tmp_path_factory.mktemp("cuda") / "libcuda.so.1"
    source = Path(__file__).parent / "libcuda_stand_in.c"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source], check=True)
    return library


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("", ""),
        ("CARDS_ARE_FULL", ""),
        ("SPOIL_CARD", "Card 1 failed a write and read of 4 MiB: it read back something else."),
        ("NO_DRIVER", "The cards cannot be used for computing (CUDA error 100)."),
    ],
)
def test_each_card_writes_a_pattern_and_reads_it_back(
    tmp_path: Path, libcuda: Path, monkeypatch: pytest.MonkeyPatch, fault: str, message: str
) -> None:
    if fault:
        monkeypatch.setitem(os.environ, fault, "1")
    card = Reported(0x10)
    arguments = ("--memory-test-mib", "4", "--libcuda", str(libcuda))
    problems = findings(answering(tmp_path, card), card, arguments=arguments)
    assert [problem["message"] for problem in problems] == ([message] if message else [])


def test_a_card_on_which_a_program_runs_is_left_alone(
    tmp_path: Path, libcuda: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPOIL_CARD", "1")
    cards = (Reported(0x10), Reported(0x11, busy=True))
    arguments = ("--memory-test-mib", "4", "--libcuda", str(libcuda))
    assert findings(answering(tmp_path, *cards), *cards, arguments=arguments) == []


def test_a_missing_library_is_said(tmp_path: Path) -> None:
    card = Reported(0x10)
    arguments = ("--memory-test-mib", "4", "--libcuda", "/nowhere/libcuda.so.1")
    assert codes(findings(answering(tmp_path, card), card, arguments=arguments)) == ["gpu.no_library"]
