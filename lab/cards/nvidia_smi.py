#!/usr/bin/python3
"""Stands in for NVIDIA's nvidia-smi in a machine of the lab: it tells of
the cards in /opt/soundstage-lab/gpu.

A program of its own, copied to /usr/bin/nvidia-smi of machines with cards; the machine's own Python runs it.
The forms of its answers, its words and exit codes are those of the real program (its manual, and
nvsmi_device_v12.dtd); of the fields only those that Soundstage and common health checks read.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

FOLDER = Path(os.environ.get("SOUNDSTAGE_LAB_GPU", "/opt/soundstage-lab/gpu"))
NO_DRIVER, LOST, MISMATCH, BAD_ARGUMENT, NO_DEVICES = 9, 15, 18, 2, 6
# NVML's own words for these (nvmlErrorString).
WORDS = {
    NO_DRIVER: "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. "
    "Make sure that the latest NVIDIA driver is installed and running.\n",
    MISMATCH: "Failed to initialize NVML: Driver/library version mismatch",
    NO_DEVICES: "No devices were found",
}


def read_cards() -> list[dict[str, Any]]:
    """The cards of the plugin's file, with what only the driver tells of them (`health.json`, by UUID)."""
    cards: list[dict[str, Any]] = json.loads((FOLDER / "cards.json").read_text())
    health = read_object("health.json")
    return [
        {"index": number, "used_mib": 0, **card, **health.get(card["uuid"], {})}
        for number, card in enumerate(cards)
    ]


def read_object(name: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((FOLDER / name).read_text())
    except FileNotFoundError:
        return {}
    return found


# What `--query-gpu` knows: a value, or a value and its unit.
FIELDS: dict[str, Callable[[dict[str, Any], dict[str, Any]], Any]] = {
    "index": lambda card, driver: card["index"],
    "name": lambda card, driver: card["model"],
    "gpu_name": lambda card, driver: card["model"],
    "uuid": lambda card, driver: card["uuid"],
    "gpu_uuid": lambda card, driver: card["uuid"],
    "count": lambda card, driver: driver["count"],
    "driver_version": lambda card, driver: driver["version"],
    "pci.bus_id": lambda card, driver: card["pci_bus_id"],
    "gpu_bus_id": lambda card, driver: card["pci_bus_id"],
    "memory.total": lambda card, driver: (card["memory_mib"], "MiB"),
    "memory.used": lambda card, driver: (card["used_mib"], "MiB"),
    "memory.free": lambda card, driver: (card["memory_mib"] - card["used_mib"], "MiB"),
    "temperature.gpu": lambda card, driver: card.get("temperature_c", 41),
    "utilization.gpu": lambda card, driver: (card.get("utilization_percent", 0), "%"),
    "power.draw": lambda card, driver: (f"{card.get('power_draw_w', 17.0):.2f}", "W"),
    "power.limit": lambda card, driver: (f"{card.get('power_limit_w', 72.0):.2f}", "W"),
    "persistence_mode": lambda card, driver: "Enabled" if driver.get("persistence", True) else "Disabled",
    "ecc.mode.current": lambda card, driver: "Enabled",
    "ecc.errors.uncorrected.volatile.total": lambda card, driver: card.get("ecc_uncorrectable", 0),
    "pcie.link.width.current": lambda card, driver: card.get("link_width", 16),
    "pcie.link.width.max": lambda card, driver: 16,
    "pcie.link.gen.current": lambda card, driver: card.get("link_generation", 4),
    "pcie.link.gen.max": lambda card, driver: 4,
    "mig.mode.current": lambda card, driver: "[N/A]",
}


def csv_lines(cards: list[dict[str, Any]], driver: dict[str, Any], query: str, form: str) -> list[str]:
    """`--query-gpu=… --format=csv[,noheader][,nounits]`. ValueError names a field that there is not."""
    names = [name.strip() for name in query.split(",")]
    options = {one.strip() for one in form.split(",")}
    for name in names:
        if name not in FIELDS:
            raise ValueError(f'Field "{name}" is not a valid field to query.')
    lines = []
    for card in cards:
        cells = []
        for name in names:
            value = FIELDS[name](card, driver)
            if isinstance(value, tuple):
                value = str(value[0]) if "nounits" in options else f"{value[0]} {value[1]}"
            cells.append(str(value))
        lines.append(", ".join(cells))
    return lines if "noheader" in options else [", ".join(names), *lines]


def xml_report(cards: list[dict[str, Any]], driver: dict[str, Any]) -> str:
    """`-q -x`."""
    lines = [
        '<?xml version="1.0" ?>',
        '<!DOCTYPE nvidia_smi_log SYSTEM "nvsmi_device_v12.dtd">',
        "<nvidia_smi_log>",
        *leaves(
            1,
            driver_version=driver["version"],
            cuda_version=driver["cuda_version"],
            attached_gpus=driver["count"],
        ),
    ]
    for card in cards:
        lines += [f'\t<gpu id="{escape(card["pci_bus_id"])}">', *card_report(card, driver), "\t</gpu>"]
    return "\n".join([*lines, "</nvidia_smi_log>"])


def card_report(card: dict[str, Any], driver: dict[str, Any]) -> list[str]:
    ecc = card.get("ecc_uncorrectable", 0)
    return [
        *leaves(
            2,
            product_name=card["model"],
            product_architecture=card.get("architecture", "Ada Lovelace"),
            persistence_mode="Enabled" if driver.get("persistence", True) else "Disabled",
            uuid=card["uuid"],
            minor_number=card["index"],
            gpu_recovery_action=card.get("recovery_action", "None"),
        ),
        *branch(
            2,
            "pci",
            *leaves(3, pci_bus_id=card["pci_bus_id"]),
            *branch(
                3,
                "pci_gpu_link_info",
                *branch(
                    4, "pcie_gen", *leaves(5, max_link_gen=4, current_link_gen=card.get("link_generation", 4))
                ),
                *branch(
                    4,
                    "link_widths",
                    *leaves(5, max_link_width="16x", current_link_width=f"{card.get('link_width', 16)}x"),
                ),
            ),
        ),
        *branch(
            2,
            "fb_memory_usage",
            *leaves(
                3,
                total=f"{card['memory_mib']} MiB",
                reserved="0 MiB",
                used=f"{card['used_mib']} MiB",
                free=f"{card['memory_mib'] - card['used_mib']} MiB",
            ),
        ),
        *branch(2, "utilization", *leaves(3, gpu_util=f"{card.get('utilization_percent', 0)} %")),
        *branch(2, "ecc_mode", *leaves(3, current_ecc="Enabled", pending_ecc="Enabled")),
        *branch(
            2,
            "ecc_errors",
            *branch(3, "volatile", *leaves(4, dram_correctable=0, dram_uncorrectable=ecc)),
            *branch(3, "aggregate", *leaves(4, dram_correctable=0, dram_uncorrectable=ecc)),
        ),
        *branch(
            2,
            "remapped_rows",
            *leaves(
                3,
                remapped_row_corr=0,
                remapped_row_unc=ecc,
                remapped_row_pending="No",
                remapped_row_failure="Yes" if card.get("rows_used_up") else "No",
            ),
        ),
        *branch(2, "temperature", *leaves(3, gpu_temp=f"{card.get('temperature_c', 41)} C")),
        *branch(
            2,
            "gpu_power_readings",
            *leaves(
                3,
                power_draw=f"{card.get('power_draw_w', 17.0):.2f} W",
                current_power_limit=f"{card.get('power_limit_w', 72.0):.2f} W",
            ),
        ),
    ]


def branch(depth: int, name: str, *inside: str) -> list[str]:
    tabs = "\t" * depth
    return [f"{tabs}<{name}>", *inside, f"{tabs}</{name}>"]


def leaves(depth: int, **values: Any) -> list[str]:
    tabs = "\t" * depth
    return [f"{tabs}<{name}>{escape(str(value))}</{name}>" for name, value in values.items()]


def table(cards: list[dict[str, Any]], driver: dict[str, Any]) -> list[str]:
    """The screen for people, without its frame."""
    version = driver["version"]
    lines = [f"NVIDIA-SMI {version}   Driver Version: {version}   CUDA Version: {driver['cuda_version']}"]
    for card in cards:
        memory = f"{card['used_mib']}MiB / {card['memory_mib']}MiB"
        lines.append(f"{card['index']:>3}  {card['model']:<32} {card['pci_bus_id']:<18} {memory}")
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(prog="nvidia-smi", add_help=False)
    parser.add_argument("-L", "--list-gpus", action="store_true")
    parser.add_argument("-q", "--query", action="store_true")
    parser.add_argument("-x", "--xml-format", action="store_true")
    parser.add_argument("-i", "--id")
    parser.add_argument("-pm", "--persistence-mode")
    parser.add_argument("--query-gpu")
    parser.add_argument("--format", default="csv")
    options, unknown = parser.parse_known_args()
    if unknown:
        print(f"Invalid combination of input arguments. Please run 'nvidia-smi -h' for help. ({unknown[0]})")
        return BAD_ARGUMENT
    driver = {"version": "550.163.01", "cuda_version": "12.4", **read_object("driver.json")}
    if driver.get("exit_code", 0):
        print(WORDS[int(driver["exit_code"])])
        return int(driver["exit_code"])
    cards = read_cards()
    driver["count"] = len(cards)
    if not cards:
        print(WORDS[NO_DEVICES])
        return NO_DEVICES
    for card in cards:
        if card.get("lost"):
            print(
                f"Unable to determine the device handle for GPU{card['index']}: {card['pci_bus_id']}: "
                "GPU is lost.  Reboot the system to recover this GPU"
            )
            return LOST
    if options.id is not None:
        cards = [
            card for card in cards if options.id in (str(card["index"]), card["uuid"], card["pci_bus_id"])
        ]
        if not cards:
            print(WORDS[NO_DEVICES])
            return NO_DEVICES
    if options.persistence_mode is not None:
        for card in cards:
            print(f"Persistence mode is already Enabled for GPU {card['pci_bus_id']}.")
        print("All done.")
    elif options.list_gpus:
        for card in cards:
            print(f"GPU {card['index']}: {card['model']} (UUID: {card['uuid']})")
    elif options.query_gpu:
        try:
            print("\n".join(csv_lines(cards, driver, options.query_gpu, options.format)))
        except ValueError as error:
            print(error)
            return BAD_ARGUMENT
    elif options.query:
        if not options.xml_format:
            print("This stand-in prints the long report as XML only: nvidia-smi -q -x")
            return BAD_ARGUMENT
        print(xml_report(cards, driver))
    else:
        print("\n".join(table(cards, driver)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
