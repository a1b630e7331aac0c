"""Lists what a measurement was taken on: versions, card and driver. Rehearsals and `gpu_checks` call it."""

from __future__ import annotations

import platform
import subprocess
import time

from avatar import __version__
from avatar.engines.weights.checkpoint import import_torch
from avatar.errors import Unavailable


def machine_facts() -> dict[str, str]:
    """Returns names and values, the card's where torch sees one."""
    facts = {
        "when": time.strftime("%Y-%m-%d %H:%M"),
        "worker": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
    }
    try:
        torch = import_torch()
    except Unavailable:
        return facts | {"torch": "not installed"}
    facts["torch"] = torch.__version__
    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        facts |= {"card": properties.name, "memory MiB": str(properties.total_memory >> 20)}
        facts |= {"capability": f"{properties.major}.{properties.minor}", "CUDA": str(torch.version.cuda)}
        facts["driver"] = first_line("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")
    return facts


def first_line(*command: str) -> str:
    """Returns what a program prints first, or that it is not known."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return "not known"
    return (done.stdout.splitlines() or ["not known"])[0]
