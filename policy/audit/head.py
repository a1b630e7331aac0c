"""Records the head of an audit chain outside the database, signed with the key of its lines."""

from __future__ import annotations

import hmac
import json
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

from policy.audit.chain import chain_hash
from soundstage.errors import Invalid, Unavailable
from soundstage.key_sealing import UNSEALED, KeyFiles, SealingSettings
from soundstage.telemetry import get_logger

KEY_BYTES = 32
KEY_FILE = "audit.key"


@dataclass(frozen=True, slots=True)
class Head:
    """Number and hash of a line: the last one when this was written."""

    number: int
    sha256: str

    @classmethod
    def parse(cls, text: str) -> Head:
        """Read `NUMBER:SHA256`, as `soundstage audit head` prints it. Raises `audit.bad_head`."""
        found = re.fullmatch(r"([1-9][0-9]{0,9}):([0-9a-f]{64})", text.strip())
        if found is None:
            raise Invalid(
                "audit.bad_head",
                f"{text[:100]!r} is no head of an audit log.",
                "Give it as `soundstage audit head` printed it: the number, a colon, 64 hex digits.",
            )
        return cls(int(found[1]), found[2])


class HeadError(ValueError):
    """A head that proves nothing; `code` and text say why."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class HeadFile:
    """`audit-head.json` in a folder, with an HMAC by `audit.key` (mode 0600), which is made at its first
    use; in the same folder, or in one for keys. The head may lag behind the chain by a moment, and never
    runs ahead of it.

    Not moved on over a chain that it does not fit: the next line must not hide that others are missing.
    """

    def __init__(
        self, folder: Path, key_folder: Path | None = None, sealing: SealingSettings = UNSEALED
    ) -> None:
        self._path = folder / "audit-head.json"
        self._key_files = KeyFiles(key_folder or folder, sealing)
        self._key_path = self._key_files.folder / KEY_FILE
        self._key: bytes | None = None
        self._log = get_logger(__name__)

    @property
    def key(self) -> bytes:
        """The key of lines and head, made at its first use. Raises `audit.no_key`."""
        if self._key is None:
            self._key = self._read_or_make_key()
        return self._key

    @property
    def has_key(self) -> bool:
        """True where there is a key already; reading this creates none."""
        return self._key is not None or self._key_path.exists()

    def read(self) -> Head | None:
        """Return the head, or None when there is no file. Raises `HeadError` for a damaged or forged one."""
        head, proof = self._content() or (None, None)
        if head is not None and not hmac.compare_digest(str(proof), self._proof(head)):
            raise HeadError(
                "audit.head_forged", f"{self._path.name} was not written with the key of this log"
            )
        return head

    def forget(self) -> None:
        """Remove the file: a database was put back on purpose. Raises `OSError`."""
        self._path.unlink(missing_ok=True)

    def write(self, head: Head) -> None:
        """Writes atomically. The line is committed already: a full disk must not fail the request."""
        half = self._path.with_name(f".{self._path.name}.{secrets.token_hex(4)}")
        content = {"number": head.number, "sha256": head.sha256, "hmac": self._proof(head)}
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            half.write_text(json.dumps(content), encoding="utf-8")
            half.replace(self._path)
        except OSError as error:
            half.unlink(missing_ok=True)
            self._log.warning("audit head not written", reason=error.strerror)

    def _content(self) -> tuple[Head, str | None] | None:
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
            return Head(int(content["number"]), str(content["sha256"])), content.get("hmac")
        except FileNotFoundError:
            return None
        except (OSError, AttributeError, KeyError, TypeError, ValueError) as error:
            raise HeadError("audit.head_damaged", f"{self._path.name} cannot be read") from error

    def _proof(self, head: Head) -> str:
        return chain_hash(["head", head.number, head.sha256], self.key)

    def _read_or_make_key(self) -> bytes:
        try:
            text = self._key_files.read_or_create(
                KEY_FILE, lambda: secrets.token_hex(KEY_BYTES).encode(), folder_mode=0o700
            )
            key = bytes.fromhex(text.decode().strip())
            if len(key) < KEY_BYTES:
                raise ValueError(f"it holds fewer than {KEY_BYTES} bytes")
        except (OSError, ValueError) as error:
            raise Unavailable(
                "audit.no_key",
                f"The key of the audit log, {self._key_path}, can be neither read nor made: {error}.",
                "Restore the file from a backup; `state_dir` has to belong to the user who runs soundstage.",
            ) from error
        return key
