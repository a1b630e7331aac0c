"""Errors about machines; raised by the services of this room."""

from __future__ import annotations

from soundstage.errors import Conflict, Invalid, NotFound


def machine_not_found(name: str) -> NotFound:
    """No such machine."""
    return NotFound(
        "machine.not_found", f"There is no machine {name!r}.", "List them: `soundstage machines list`."
    )


def name_taken(name: str) -> Conflict:
    """Names are unique."""
    return Conflict("machine.name_taken", f"Another machine is called {name}.", "Choose another name.")


def identity_conflict(name: str, what: str) -> Conflict:
    """A machine says that it is one that we know, and something about it says otherwise."""
    return Conflict(
        "machine.identity_conflict",
        f"What calls itself {name} has {what}.",
        "If its board was changed, retire the old machine and accept this one anew; if not, somebody "
        "pretends.",
    )


def macs_of_several(names: list[str]) -> Conflict:
    """One report with the addresses of several machines."""
    return Conflict(
        "machine.macs_of_several",
        f"These MAC addresses belong to several machines: {', '.join(names)}.",
        "If a card was moved from one to the other, retire the machine that lost it first.",
    )


def uuid_shared(name: str, others: list[str]) -> Conflict:
    """Two machines with one SMBIOS UUID."""
    return Conflict(
        "machine.uuid_shared",
        f"{name} has the same SMBIOS UUID as {', '.join(others)}.",
        "Give it a UUID of its own in its firmware, or retire the other one if this one took its place.",
    )


def key_conflict(name: str, code: str) -> Conflict:
    """Raised after the report was noted: the key that counts stays the one that it was."""
    return Conflict(
        "machine.key_conflict",
        f"{name} is known with another key than this one ({code}); a person decides which one counts.",
        f"If {code} stands on its console: `soundstage machines key {name} --code {code}`.",
    )


def code_missing(name: str) -> Invalid:
    """Raised when an acceptance names another key than the one that was compared."""
    return Invalid(
        "machine.code_missing",
        f"{name} has reported with a key, and the yes names none.",
        f"Compare with its console, then: `soundstage machines accept {name} --code CODE`.",
    )


def code_changed(name: str, code: str, reported: bool) -> Conflict:
    """The yes is for another key than the one that counts. `reported`: that one is known as a conflict."""
    seen = "a key that has reported too, and does not count" if reported else "no key that has reported"
    return Conflict(
        "machine.code_changed",
        f"{code} is the code of {seen}; nothing was accepted.",
        f"Compare `soundstage machines show {name}` with its console; `soundstage machines key {name} "
        "--code CODE` says which key counts.",
    )


def code_unknown(name: str, code: str) -> NotFound:
    """No key with this code has reported as that machine, or two have."""
    return NotFound(
        "machine.code_unknown",
        f"No single key with the code {code} has reported as {name}.",
        "Wait until the machine reports (every few seconds), and read its code anew.",
    )
