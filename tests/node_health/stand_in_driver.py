"""Writes an `nvidia-smi` that answers as a driver with these cards would; tests of the card check call it.

The answers have the form of `nvidia-smi -q -x` (NVIDIA System Management Interface, schema v12); only what is
looked at is there.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Reported:
    """One card as the driver reports it; `bus` is the number of its PCI bus."""

    bus: int
    uncorrectable: int = 0
    rows_used_up: bool = False
    recovery: str = "None"
    busy: bool = False

    @property
    def address(self) -> str:
        return f"0000:{self.bus:02x}:00.0"

    def xml(self) -> str:
        return f"""
  <gpu id="00000000:{self.bus:02X}:00.0">
    <product_name>NVIDIA L4</product_name>
    <ecc_errors>
      <volatile>
        <sram_correctable>3</sram_correctable>
        <sram_uncorrectable_parity>0</sram_uncorrectable_parity>
        <dram_correctable>9</dram_correctable>
        <dram_uncorrectable>{self.uncorrectable}</dram_uncorrectable>
      </volatile>
      <aggregate><dram_uncorrectable>77</dram_uncorrectable></aggregate>
    </ecc_errors>
    <remapped_rows>
      <remapped_row_failure>{"Yes" if self.rows_used_up else "No"}</remapped_row_failure>
    </remapped_rows>
    <processes>{"<process_info><pid>7</pid></process_info>" if self.busy else ""}</processes>
    <gpu_recovery_action>{self.recovery}</gpu_recovery_action>
  </gpu>"""


def answering(folder: Path, *cards: Reported) -> Path:
    """A driver that sees these cards."""
    report = folder / "report.xml"
    report.write_text(
        '<?xml version="1.0" ?>\n<nvidia_smi_log>\n  <driver_version>550.163.01</driver_version>'
        f"\n  <attached_gpus>{len(cards)}</attached_gpus>{''.join(card.xml() for card in cards)}"
        "\n</nvidia_smi_log>\n"
    )
    return _program(folder, f"cat {shlex.quote(str(report))}")


def refusing(folder: Path, words: str, status: int) -> Path:
    """A driver that does not answer."""
    return _program(folder, f"echo {shlex.quote(words)}; exit {status}")


def _program(folder: Path, body: str) -> Path:
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    return program
