"""Adds the verb `work` to the worker's command line."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

HELP = "Take one order of the farm: fetch its inputs, make it, hand its files over."
CACHE_MIB = 10_240


def add_work(verbs: Any, shared: argparse.ArgumentParser) -> None:
    """`verbs` is what `add_subparsers` gave; `shared` holds `--cache`."""
    one = verbs.add_parser("work", help=HELP, description=HELP, parents=[shared])
    one.add_argument("--control", metavar="URL", required=True, help="the control plane")
    one.add_argument("--task", metavar="ID", required=True, help="which order")
    one.add_argument(
        "--token", type=Path, metavar="FILE", required=True, help="holds the token of this one order"
    )
    one.add_argument(
        "--cache-mib",
        type=int,
        default=CACHE_MIB,
        metavar="N",
        help=f"how much of earlier inputs is kept in the cache; default {CACHE_MIB}",
    )
    one.add_argument("program", nargs="*", help="the avatar program, after `--`; this one, unless given")
