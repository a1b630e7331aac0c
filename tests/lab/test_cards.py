"""Machines have the cards that they were given, and no others."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from lab.cards.catalogue import KINDS, read_gpus
from lab.farm_in_a_box import Lab
from soundstage.errors import Invalid

Says = Callable[..., str]
_PLUGIN = Path(__file__).parents[2] / "farm" / "device_plugin" / ".venv" / "bin" / "python"


@pytest.mark.root
def test_pci_devices_are_the_given_ones_and_the_computers_own_are_hidden(says: Says) -> None:
    devices = says("gpu-1", "sh", "-c", "cd /sys/bus/pci/devices && cat */class */vendor */device")
    assert devices.split() == [
        "0x030000",
        "0x030200",
        "0x030000",
        "0x10de",
        "0x10de",
        "0x1a03",
        "0x1e81",
        "0x27b8",
        "0x2000",
    ]
    assert says("control", "ls", "/sys/bus/pci/devices") == ""


@pytest.mark.root
def test_nvidia_smi_tells_of_nvidia_cards_only(box: Lab, says: Says) -> None:
    assert says(
        "gpu-1", "nvidia-smi", "--query-gpu=index,name,memory.total", "--format=csv,noheader,nounits"
    ) == ("0, NVIDIA GeForce RTX 2080 SUPER, 8192\n1, NVIDIA L4, 23034")
    report = ElementTree.fromstring(says("gpu-1", "nvidia-smi", "-q", "-x"))  # noqa: S314 -- our own program
    assert report.findtext("attached_gpus") == "2"
    assert [one.get("id") for one in report.findall("gpu")] == ["00000000:01:00.0", "00000000:02:00.0"]
    assert report.findtext("gpu/fb_memory_usage/total") == "8192 MiB"
    assert box.run("control", ["nvidia-smi"]).returncode == 127


@pytest.mark.root
def test_nvidia_smi_refuses_what_it_does_not_know(box: Lab) -> None:
    unknown_field = box.run("gpu-1", ["nvidia-smi", "--query-gpu=colour", "--format=csv"])
    assert (unknown_field.returncode, "colour" in unknown_field.stdout) == (2, True)
    assert box.run("gpu-1", ["nvidia-smi", "--no-such-option"]).returncode == 2
    assert box.run("gpu-1", ["nvidia-smi", "-i", "7", "-L"]).returncode == 6


@pytest.mark.root
@pytest.mark.skipif(
    not _PLUGIN.exists(), reason="needs the plugin's environment: (cd farm/device_plugin && uv sync)"
)
def test_our_device_plugin_reads_the_same_cards(box: Lab) -> None:
    path = box.paths.machine("gpu-1").cards / "cards.json"
    program = (
        "import json, sys; from pathlib import Path; from gpu_device_plugin.fake import FakeCards\n"
        "print(json.dumps([[c.model, c.memory_mib, c.fault] for c in FakeCards(Path(sys.argv[1])).read()]))"
    )
    read = json.loads(subprocess.run([_PLUGIN, "-c", program, path], capture_output=True, check=True).stdout)
    assert [one[:2] for one in read] == [["NVIDIA GeForce RTX 2080 SUPER", 8192], ["NVIDIA L4", 23034]]


def test_cards_are_given_by_number_or_by_kind() -> None:
    none, two, mixed = read_gpus("0,2,rtx-2080-super+2*bmc")
    assert none == ()
    assert [one.kind for one in two] == ["l4", "l4"]
    assert [one.kind for one in mixed] == ["rtx-2080-super", "bmc", "bmc"]
    assert len({one.uuid for one in (*two, *mixed) if one.uuid}) == 3


def test_cards_that_there_are_not_are_refused_with_the_kinds() -> None:
    for text in ("", "x", "-1", "2**l4", "l4,", "l4+", "17", "9999999999999", "3*nope", "２"):
        with pytest.raises(Invalid) as caught:
            read_gpus(text)
        assert caught.value.code == "lab.gpus_invalid"
    with pytest.raises(Invalid, match="does not say which cards"):
        read_gpus("0;1")


def test_kinds_cover_the_vendors_and_generations_that_roles_tell_apart() -> None:
    assert {one.vendor for one in KINDS.values()} == {"0x10de", "0x1002", "0x1a03"}
    generations = {one.generation for one in KINDS.values()}
    assert {"pascal", "turing", "ampere", "ada", "hopper", "blackwell"} <= generations
