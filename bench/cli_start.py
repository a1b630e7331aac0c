"""Prints the processor time of every help page and of completion, each in a process of its own.

The goal is a start that nobody notices: below 0.5 s of processor time for each.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
from pathlib import Path

from app.cli.commands import COMMANDS

sys.path.append(str(Path(__file__).parents[1]))

from bench.results import add_figure, add_json_option, write_figures

GOAL_S = 0.5
PROGRAM = Path(sys.executable).with_name("soundstage")
COMPLETED = ("soundstage ", "soundstage pro", "soundstage keys ", 'soundstage ask "List my')


def processor_s(arguments: list[str], environment: dict[str, str], rounds: int) -> float:
    """Return the least processor time of `rounds` runs, in seconds, user and system together."""
    taken = []
    for _ in range(rounds):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([PROGRAM, *arguments], env=environment, stdout=subprocess.DEVNULL, check=False)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        taken.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    return min(taken)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    add_json_option(parser)
    parser.add_argument("--rounds", type=int, default=3, help="runs of each; the least counts")
    options = parser.parse_args()
    calls = {"version": ["version"], "--help": ["--help"]}
    calls |= {f"{name} --help": [name, "--help"] for name in COMMANDS}
    figures = {
        name: processor_s(arguments, dict(os.environ), options.rounds) for name, arguments in calls.items()
    }
    for typed in COMPLETED:
        variables = {
            "_SOUNDSTAGE_COMPLETE": "complete_bash",
            "COMP_WORDS": typed,
            "COMP_CWORD": str(typed.count(" ") if '"' not in typed else 2),
        }
        figures[f"completion of {typed!r}"] = processor_s([], {**os.environ, **variables}, options.rounds)
    too_slow = {name: taken for name, taken in figures.items() if taken > GOAL_S}
    for name, taken in figures.items():
        print(f"{name:<40} {taken:6.3f} s{'   too slow' if name in too_slow else ''}")
    slowest = max(figures, key=lambda name: figures[name])
    add_figure(
        f"slowest help page or completion ({slowest}), processor time",
        figures[slowest],
        "s",
        goal=f"< {GOAL_S}",
    )
    write_figures("conversation", options.json)
    return 1 if too_slow else 0


if __name__ == "__main__":
    sys.exit(main())
