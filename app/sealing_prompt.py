"""Asks for the passphrase of the private keys in a terminal, for `soundstage up` and `soundstage seal`."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from getpass import getpass
from pathlib import Path

from soundstage.errors import Invalid
from soundstage.settings.sealing import SealingSettings


def prompt_for_passphrase(sealing: SealingSettings, stack: ExitStack, *, confirm: bool) -> SealingSettings:
    """Returns settings whose passphrase file is in memory, where none is set and there is a terminal; child
    processes that inherit it can read it. Raises `sealing.typed_differently`.
    """
    named = sealing.passphrase_file is not None or "CREDENTIALS_DIRECTORY" in os.environ
    if sealing.method != "passphrase" or named or not sys.stdin.isatty():
        return sealing
    typed = getpass("Passphrase of the private keys: ")
    if confirm and getpass("The same again: ") != typed:
        raise Invalid("sealing.typed_differently", "The two passphrases differ.", "Run the command again.")
    descriptor = os.memfd_create("passphrase", 0)
    stack.callback(os.close, descriptor)
    os.write(descriptor, typed.encode())
    return sealing.model_copy(update={"passphrase_file": Path(f"/proc/self/fd/{descriptor}")})


def descriptor_to_inherit(sealing: SealingSettings) -> tuple[int, ...]:
    """Returns the descriptor of a passphrase in memory, for the child processes that need it."""
    path = sealing.passphrase_file
    return (int(path.name),) if path is not None and path.is_relative_to("/proc/self/fd") else ()
