"""Real cards through NVIDIA's own binding, against a stand-in for the driver's library and on a real one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

L4 = "GPU-1 NVIDIA_L4 23034 300"
T4 = "GPU-2 Tesla_T4 15360 0"

READ_TWICE = """
import json, sys
from dataclasses import asdict
from pathlib import Path
from gpu_device_plugin.cards import UnreadableCards
from gpu_device_plugin.nvml import NvmlCards
source, file = NvmlCards(), Path(sys.argv[1])
answers = []
for text in sys.argv[2:]:
    file.write_text(text)
    try:
        answers.append([asdict(card) for card in source.read()])
    except UnreadableCards as e:
        answers.append(str(e))
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("a C compiler is needed for the stand-in of the driver: apt-get install gcc libc6-dev")
    folder = tmp_path_factory.mktemp("nvml")
    source = Path(__file__).with_name("nvml_stand_in.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", folder / "libnvidia-ml.so.1", source], check=True)
    return folder


def readings(library: Path, *states: str) -> list[Any]:
    """Returns the readings while the driver goes through `states`."""
    file = library / "cards.txt"
    read = subprocess.run(
        [sys.executable, "-c", READ_TWICE, file, *states],
        env={**os.environ, "LD_LIBRARY_PATH": str(library), "NVML_CARDS": str(file)},
        capture_output=True,
        text=True,
        check=True,
    )
    answers: list[Any] = json.loads(read.stdout)
    return answers


def test_a_card_is_read_with_all_that_it_tells_and_without_what_it_does_not(library: Path) -> None:
    ((card, second),) = readings(library, f"driver ok\n{L4} ok\n{T4} ok\n")
    assert card == {
        "uuid": "GPU-1",
        "model": "NVIDIA L4",
        "memory_mib": 23034,
        "fault": "",
        "used_mib": 300,
        "pci_bus_id": "0000:3b:00.0",
        "driver_version": "550.54.15",
        "power_limit_w": 72,
        "power_w": 16,
        "bar1_mib": None,
        "cores_clock_mhz": 2040,
        "memory_clock_mhz": 6251,
        "pci_bandwidth_mb_s": 16 * 1969,
        "display": None,
        "persistence": True,
        "gpu_load_pct": 41,
        "memory_load_pct": 7,
        "temperature_c": None,
        "compute_capability": 86,
        "ecc_corrected": 7,
        "ecc_uncorrected": 1,
    }
    assert (second["uuid"], second["model"]) == ("GPU-2", "Tesla T4")


def test_a_card_that_is_lost_stays_under_its_id_with_the_drivers_words(library: Path) -> None:
    well, lost, back = readings(
        library,
        f"driver ok\n{L4} ok\n{T4} ok\n",
        f"driver ok\n{L4} lost\n{T4} ok\n",
        f"driver ok\n{L4} ok\n{T4} ok\n",
    )
    assert [card["fault"] for card in well + back] == [""] * 4
    assert [(card["uuid"], card["fault"]) for card in lost] == [
        ("GPU-1", "the driver reports: GPU is lost"),
        ("GPU-2", ""),
    ]


def test_a_driver_that_breaks_is_opened_again(library: Path) -> None:
    well, broken, back = readings(
        library, f"driver ok\n{L4} ok\n", "driver broken\n", f"driver ok\n{L4} ok\n"
    )
    assert broken == "the NVIDIA driver does not list its cards: Unknown Error"
    assert well == back != []


def test_a_card_in_slices_is_announced_as_not_usable(library: Path) -> None:
    ((card,),) = readings(library, f"driver ok\n{L4} mig\n")
    assert "MIG is on" in card["fault"]


def test_a_machine_without_a_driver_is_told_so() -> None:
    process = subprocess.run(
        [sys.executable, "-m", "gpu_device_plugin", "cards"], capture_output=True, text=True, check=False
    )
    if process.returncode == 0:
        pytest.skip("this machine has a driver")
    assert "the NVIDIA driver is not usable: NVML Shared Library Not Found" in process.stderr


@pytest.mark.gpu
def test_the_real_driver_lists_its_cards() -> None:
    process = subprocess.run(
        [sys.executable, "-m", "gpu_device_plugin", "cards"], capture_output=True, text=True, check=True
    )
    cards = json.loads(process.stdout)
    assert cards
    for card in cards:
        assert card["uuid"].startswith("GPU-") and card["memory_mib"] > 1024 and card["fault"] == ""
        assert 0 <= card["used_mib"] <= card["memory_mib"] and card["driver_version"]
