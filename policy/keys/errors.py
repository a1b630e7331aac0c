"""Errors of API keys; raised by the service."""

from __future__ import annotations

from soundstage.errors import Forbidden, Invalid, NotFound


def key_not_found(key_id: str) -> NotFound:
    """No such key."""
    return NotFound(
        "key.not_found", f"There is no key with the id {key_id!r}.", "List them: `soundstage keys list`."
    )


def key_escalates(missing: list[str]) -> Forbidden:
    """Nobody can give away more than they have."""
    return Forbidden(
        "key.escalation",
        f"The key would have rights that you have not: {', '.join(missing)}.",
        "Choose a lower role or narrower scopes.",
    )


def key_of_another_tenant(tenant: str) -> Forbidden:
    """Only the operator lets other tenants in."""
    return Forbidden(
        "key.other_tenant",
        f"You may not make a key for the tenant {tenant!r}.",
        "Leave `tenant` out: the key is of yours. Keys of others are made by an admin of the tenant default.",
    )


def key_in_the_past() -> Invalid:
    """An expiry that has passed."""
    return Invalid(
        "key.expires_in_the_past", "The key would have expired already.", "Choose a later `expires_at`."
    )
