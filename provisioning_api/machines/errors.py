"""What can go wrong with machines; raised by the services of this room."""

from __future__ import annotations

from soundstage.errors import Conflict, NotFound


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
