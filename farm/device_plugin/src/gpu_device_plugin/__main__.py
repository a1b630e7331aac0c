"""`gpu-device-plugin`: started by a Nomad agent it is the plugin; started by a person it shows or compares
cards."""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

from gpu_device_plugin import __version__
from gpu_device_plugin.cards import CardSource, UnreadableCards
from gpu_device_plugin.compare import lasting_differences
from gpu_device_plugin.config import STATE_DIR
from gpu_device_plugin.fake import FakeCards
from gpu_device_plugin.nvml import NvmlCards
from gpu_device_plugin.serve import is_started_by_agent, serve


def main() -> None:
    if len(sys.argv) == 1 and is_started_by_agent(os.environ):
        serve(os.environ)
    parser = argparse.ArgumentParser(
        prog="gpu-device-plugin",
        description="A Nomad device plugin for NVIDIA cards. The agent starts it from its plugin_dir.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True)
    cards = commands.add_parser("cards", help="print the cards as JSON; fails when they cannot be read")
    cards.add_argument("--fake", type=Path, metavar="FILE", help="fake cards instead of the driver's")
    compare = commands.add_parser(
        "compare", help="fails when the server sees other cards than the plugin announces"
    )
    compare.add_argument(
        "--state-dir", type=Path, default=STATE_DIR, help="the plugin's state_dir (%(default)s)"
    )
    compare.add_argument(
        "--patience", type=float, default=30.0, metavar="S", help="wait this long (%(default)s s)"
    )
    arguments = parser.parse_args()
    sys.exit(_cards(arguments.fake) if arguments.command == "cards" else _compare(arguments))


def _cards(fake: Path | None) -> int:
    source: CardSource = NvmlCards() if fake is None else FakeCards(fake)
    try:
        cards = source.read()
    except UnreadableCards as e:
        print(f"No cards: {e}", file=sys.stderr)
        return 1
    print(json.dumps([asdict(card) for card in cards], indent=1))
    return 0


def _compare(arguments: argparse.Namespace) -> int:
    try:
        found = lasting_differences(arguments.state_dir, os.environ, arguments.patience)
    except OSError as e:
        print(f"The Nomad agent does not answer: {e}", file=sys.stderr)
        return 2
    for sentence in found:
        print(sentence)
    return 1 if found else 0


if __name__ == "__main__":
    main()
