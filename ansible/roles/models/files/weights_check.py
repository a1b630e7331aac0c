"""Compares the weights on a machine with their manifest; `soundstage-health` and the role models call it.

Prints one JSON line per problem (code, message, hint, the file as `path`) and ends with 0. A file whose size
and time are those of its last reading is not read again for a week: weights have gigabytes. Only the standard
library.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

REREAD_AFTER_S = 7 * 86400


def main() -> int:
    arguments = _arguments()
    manifest = json.loads(arguments.manifest.read_text(encoding="utf-8"))
    known = _known(arguments.memory)
    seen: dict[str, dict[str, Any]] = {}
    for entry in manifest["weights"]:
        file = Path(manifest["folder"]) / entry["path"]
        if not file.is_file():
            _tell(entry, "models.missing", f"The weights {file} are missing.")
            continue
        reading = _read(file, known.get(str(file)), time.time(), arguments.anew)
        seen[str(file)] = reading
        if reading["sha256"] != entry["sha256"]:
            _tell(entry, "models.damaged", f"The weights {file} are not the ones of the manifest.")
    # Without a memory (on a full disk, for example) everything is read again next time; what was found holds.
    with suppress(OSError):
        _remember(arguments.memory, seen)
    return 0


def _remember(memory: Path, seen: dict[str, dict[str, Any]]) -> None:
    memory.parent.mkdir(parents=True, exist_ok=True)
    staging = memory.with_name(f"{memory.name}.new")
    staging.write_text(json.dumps(seen, indent=1) + "\n", encoding="utf-8")
    staging.replace(memory)


def _read(file: Path, known: dict[str, Any] | None, now_s: float, anew: bool) -> dict[str, Any]:
    state = file.stat()
    mark = [state.st_size, state.st_mtime_ns, state.st_ino]
    if known and not anew and known["mark"] == mark and 0 <= now_s - known["read_at_s"] < REREAD_AFTER_S:
        return known
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    return {"mark": mark, "sha256": digest, "read_at_s": now_s}


def _known(memory: Path) -> dict[str, dict[str, Any]]:
    try:
        read = json.loads(memory.read_text(encoding="utf-8"))
        return {
            str(file): {
                "mark": list(one["mark"]),
                "sha256": str(one["sha256"]),
                "read_at_s": float(one["read_at_s"]),
            }
            for file, one in read.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}  # no memory yet, or one of another version: everything is read


def _tell(entry: dict[str, Any], code: str, message: str) -> None:
    where = f"{entry['source']} (licence: {entry['licence']})"
    hint = f"Fetch them from {where} into models__from, and converge again."
    print(json.dumps({"code": code, "message": message, "hint": hint, "path": entry["path"]}))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare weights with their manifest.")
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--memory", type=Path, default=Path("/var/lib/soundstage/models.json"))
    parser.add_argument("--anew", action="store_true", help="read every file, whatever is known of it")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
