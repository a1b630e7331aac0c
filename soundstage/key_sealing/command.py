"""Encrypts the data key by a program, e.g. `vault` or the client of a cloud's key management service."""

from __future__ import annotations

import base64
import binascii
import subprocess
from collections.abc import Sequence

from soundstage.errors import Invalid, Unavailable

HINT = "Run the command by hand as the same user, and check its login and network."


class CommandSealer:
    """Passes the key to a program on standard input, as base64, and reads its standard output."""

    def __init__(self, wrap: Sequence[str], unwrap: Sequence[str], timeout_s: float) -> None:
        if not wrap or not unwrap:
            raise Invalid(
                "sealing.no_command",
                "Sealing by a command takes two commands.",
                "Set `sealing.wrap_command` and `sealing.unwrap_command`.",
            )
        self._wrap, self._unwrap, self._timeout_s = list(wrap), list(unwrap), timeout_s

    @property
    def opens_with(self) -> str:
        # Arguments may hold a token.
        return f"the command {self._unwrap[0]}"

    def wrap(self, key: bytes) -> bytes:
        wrapped = self._run(self._wrap, base64.b64encode(key)).strip()
        if not wrapped:
            raise self._failed(self._wrap, "it wrote nothing")
        return wrapped

    def unwrap(self, wrapped: bytes) -> bytes:
        try:
            return base64.b64decode(self._run(self._unwrap, wrapped).strip(), validate=True)
        except binascii.Error as error:
            raise self._failed(self._unwrap, "its output is not base64") from error

    def _run(self, command: list[str], content: bytes) -> bytes:
        try:
            done = subprocess.run(
                command, input=content, capture_output=True, timeout=self._timeout_s, check=False
            )
        except OSError as error:
            raise self._failed(command, str(error.strerror)) from error
        except subprocess.TimeoutExpired as error:
            raise self._failed(command, f"no answer within {self._timeout_s:g} s") from error
        if done.returncode:
            # Its own words stay out of our logs: they may repeat the key.
            raise self._failed(command, f"it ended with status {done.returncode}")
        return done.stdout

    @staticmethod
    def _failed(command: list[str], why: str) -> Unavailable:
        return Unavailable(
            "sealing.command_failed", f"The sealing command {command[0]} has failed: {why}.", HINT
        )
