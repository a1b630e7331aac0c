"""Measures the speed of the lab on this computer: `scripts/bench lab_speed [--rounds 3]`, as root."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.results import add_figure, add_json_option, write_figures
from lab.cards.catalogue import read_gpus
from lab.farm_in_a_box import Lab
from lab.plan import machines_named
from lab.requirements import what_is_missing


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    add_json_option(parser)
    options = parser.parse_args()
    rounds = options.rounds
    if missing := what_is_missing():
        print(missing, file=sys.stderr)
        return 1
    machines = machines_named(["control", "gpu-1", "gpu-2", "cpu-1"], read_gpus("0,1,2,0"))
    lab = Lab(f"bench-{os.getpid()}")
    seconds: dict[str, list[float]] = {}
    try:
        for _ in range(rounds):
            note(seconds, "3 machines until SSH greets on all", lab.up(machines[:3], say=print))
            note(seconds, "reboot of one until SSH greets", lab.reboot("gpu-1"))
            start = time.monotonic()
            lab.down()
            note(seconds, "down", time.monotonic() - start)
            note(
                seconds,
                "Nomad and Consul, 1 server and 3 clients, until all are ready",
                lab.up_cluster(machines),
            )
            lab.down()
    finally:
        lab.down()
    load = os.getloadavg()[0]
    print(f"\nMedian of {rounds} rounds, {os.cpu_count()} processors, load {load:.1f}\n")
    print("| what | seconds |\n|---|---|")
    for what, found in seconds.items():
        add_figure(f"lab: {what}", median(found), "s")
        print(f"| {what} | {median(found):.1f} ({min(found):.1f}-{max(found):.1f}) |")
    write_figures("machines", options.json)
    return 0


def note(seconds: dict[str, list[float]], what: str, value: float) -> None:
    seconds.setdefault(what, []).append(value)


if __name__ == "__main__":
    sys.exit(main())
