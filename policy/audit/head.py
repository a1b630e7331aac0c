"""Remembers outside the database where the audit chain ends: lines cut off its end are noticed by that."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from soundstage.telemetry import get_logger


@dataclass(frozen=True, slots=True)
class Head:
    """The last line that was known when this was written."""

    number: int
    sha256: str


class HeadFile:
    """`audit-head.json` in the state folder. It may lag behind the chain, and never runs ahead of it.

    Not moved on over a chain that it does not fit: the next line must not hide that others are missing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._log = get_logger(__name__)

    def read(self) -> Head | None:
        """None when there is none yet. Raises ValueError when it is damaged."""
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
            return Head(int(content["number"]), str(content["sha256"]))
        except FileNotFoundError:
            return None
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{self._path} cannot be read") from error

    def forget(self) -> None:
        """For a database that was put back on purpose: its chain ends earlier. Raises `OSError`."""
        self._path.unlink(missing_ok=True)

    def write(self, head: Head) -> None:
        """Whole or not at all. The line is committed already, so a full disk must not undo the answer."""
        half = self._path.with_name(f".{self._path.name}.{secrets.token_hex(4)}")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            half.write_text(json.dumps({"number": head.number, "sha256": head.sha256}), encoding="utf-8")
            half.replace(self._path)
        except OSError as error:
            half.unlink(missing_ok=True)
            self._log.warning("the end of the audit log was not noted", reason=error.strerror)
