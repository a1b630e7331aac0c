"""Builds the errors of refused enrolments; each refusal is recorded."""

from __future__ import annotations

from soundstage.errors import Conflict, Forbidden, Unauthorized

ARM = "Arm another: `soundstage machines arm NAME`."


def bad_token() -> Unauthorized:
    """Raised for an unknown token, and for one that was replaced."""
    return Unauthorized("enrolment.bad_token", "This token is unknown.", ARM)


def token_used() -> Conflict:
    """Raised for the second use, whatever its source."""
    return Conflict(
        "enrolment.token_used",
        "This token was used already.",
        "If it was not this machine that used it, retire the machine and look at the audit record.",
    )


def token_expired() -> Forbidden:
    """Too late, by our clock."""
    return Forbidden("enrolment.expired", "This token has expired.", ARM)


def token_revoked() -> Forbidden:
    """Disarmed by an operator, by a newer one, or by misuse."""
    return Forbidden("enrolment.revoked", "This token was revoked.", ARM)


def wrong_machine() -> Forbidden:
    """The token of another machine; it is worthless from now on."""
    return Forbidden(
        "enrolment.wrong_machine",
        "This token was armed for a machine with other addresses or another UUID, and is revoked now.",
        "If a card was changed, accept the machine anew; if not, the token has been stolen.",
    )


def other_ramdisk() -> Forbidden:
    """The claim of a ramdisk that is not the one the operator saw."""
    return Forbidden(
        "enrolment.other_ramdisk",
        "The enrolment is armed for another ramdisk than the one that claims it.",
        "If the machine was started anew, arm it for the next one: `soundstage machines arm NAME --next`.",
    )


def not_claimed() -> Forbidden:
    """A write is granted only to the ramdisk that holds the token."""
    return Forbidden(
        "enrolment.not_claimed",
        "This ramdisk holds no token that is good.",
        "Claim one first; if the window has closed, arm the machine again.",
    )


def nothing_to_collect() -> Conflict:
    """Only the ramdisk that enrolled, and only for minutes."""
    return Conflict(
        "enrolment.nothing_to_collect",
        "This ramdisk has exchanged no token, or it is too long ago.",
        "Accept the machine anew; it then enrols once more.",
    )


def host_key_known(name: str) -> Conflict:
    """Raised for a copied disk, or an impostor."""
    return Conflict(
        "enrolment.host_key_known",
        f"This host key belongs to {name} already.",
        "Keys are made on each machine: remove /etc/ssh/ssh_host_* from the image, and let it make its own.",
    )


def needs_tls() -> Forbidden:
    """Tokens and credentials travel encrypted only."""
    return Forbidden(
        "enrolment.needs_tls",
        "This call is answered on the TLS port only.",
        "Use the https address, and trust our CA alone.",
    )
