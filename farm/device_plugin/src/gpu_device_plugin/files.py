"""The two small files this plugin keeps on disk: what it last saw, and how it is (written by `watch` and
`services`).

Both are aids. A disk that is full or read-only is logged by the callers and never stops the plugin.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gpu_device_plugin.cards import Card

_CARDS = "cards.json"
_STATUS = "status.json"


def save_cards(state_dir: Path, source: str, cards: Sequence[Card]) -> None:
    """Keep the last good list for a start at which the cards cannot be read. Raises OSError."""
    _write(state_dir / _CARDS, {"source": source, "cards": [asdict(card) for card in cards]})


def load_cards(state_dir: Path, source: str) -> list[Card]:
    """The last good list from this source, or none when there is no readable one."""
    try:
        document = json.loads((state_dir / _CARDS).read_text(encoding="utf-8"))
        return [Card(**entry) for entry in document["cards"]] if document["source"] == source else []
    except (OSError, ValueError, TypeError, KeyError):
        return []  # first start on this node, or a version that kept other fields


def save_status(state_dir: Path, status: dict[str, Any]) -> None:
    """Keep how the plugin is, for `gpu-device-plugin compare`. Raises OSError."""
    _write(state_dir / _STATUS, status)


def load_status(state_dir: Path) -> dict[str, Any]:
    """The status of the running (or the last) plugin. Raises OSError or ValueError."""
    status = json.loads((state_dir / _STATUS).read_text(encoding="utf-8"))
    if not isinstance(status, dict):
        raise ValueError("the status file holds no object")
    return status


def _write(path: Path, document: Any) -> None:
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    replace_file(path, json.dumps(document, indent=1) + "\n")


def replace_file(path: Path, text: str) -> None:
    """Replaces a file in one step. Raises OSError."""
    # The agent starts short-lived plugins beside the lasting one: each writes a file of its own.
    staging = path.with_name(f"{path.name}.{os.getpid()}")
    staging.write_text(text, encoding="utf-8")
    staging.replace(path)
