"""`avatar voices add | list | remove`: cloned voices and the consents behind them."""

from __future__ import annotations

import argparse
import json
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

from avatar.cli.agreed import consent_of


def add_voices(verbs: Any, shared: argparse.ArgumentParser) -> None:
    help_text = "Cloned voices of a speech service, each with its speaker's consent."
    voices = verbs.add_parser("voices", help=help_text, description=help_text)
    actions = voices.add_subparsers(dest="action", required=True, metavar="ACTION")

    def action(name: str, told: str) -> argparse.ArgumentParser:
        one: argparse.ArgumentParser = actions.add_parser(name, help=told, description=told, parents=[shared])
        return one

    add = action("add", "Upload a sample of a voice; refused without its speaker's consent.")
    add.add_argument("sample", type=Path, metavar="SAMPLE")
    add.add_argument("--name", required=True, metavar="NAME", help="of the voice")
    add.add_argument("--service", required=True, metavar="URL", help="a server with /v1/audio/voices")
    add.add_argument("--said", required=True, metavar="TEXT", help="the words of the sample")
    add.add_argument("--key-env", metavar="VARIABLE", help="the variable that holds the key of the service")
    add.add_argument(
        "--consent",
        type=Path,
        metavar="FILE",
        help="who agreed (JSON: id, person, granted_at, purpose); default SAMPLE.consent.json",
    )
    action("list", "List the cloned voices and who agreed.")
    remove = action("remove", "Delete a voice at its service, then its sample and its consent here.")
    remove.add_argument("name", metavar="NAME")


def voices(arguments: Namespace) -> int:
    from avatar.speech.cloned_voices import ClonedVoices, voices_folder

    kept = ClonedVoices(voices_folder().absolute())
    if arguments.action == "add":
        found = [
            kept.add(
                arguments.name,
                arguments.sample,
                arguments.said,
                consent_of(arguments.sample, arguments.consent),
                arguments.service,
                api_key_env=arguments.key_env,
            )
        ]
    else:
        found = kept.list() if arguments.action == "list" else [kept.remove(arguments.name)]
    for voice in found:
        if arguments.json:
            continue
        agreed = f"{voice.consent.person} agreed on {voice.consent.granted_at}: {voice.consent.purpose}"
        sys.stdout.write(f"{voice.name:<20} {voice.voice_id} at {voice.base_url}\n{'':<20} {agreed}\n")
    if arguments.json:
        plain = [
            {**voice.model_dump(mode="json"), "voice": voice.as_voice().model_dump(mode="json")}
            for voice in found
        ]
        sys.stdout.write(json.dumps(plain) + "\n")
    return 0
