"""Names, MAC addresses and SMBIOS UUIDs as one form each; every wire type of this room uses them."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, Field

# RFC 1123, one label, lower case: it goes into certificates, inventories and command lines.
NAME = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NAME = re.compile(NAME)
# Ansible gives these a meaning of their own: a pattern, a group, or this very machine.
RESERVED_NAMES = frozenset({"all", "ungrouped", "localhost", "soundstage", "members", "discovered"})
_MAC = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}")
MAX_MACS = 32

# What firmware says when its maker forgot to: many machines share these, so they name none.
NO_UUIDS = frozenset(
    {
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
        "03000200-0400-0500-0006-000700080009",
        "12345678-1234-5678-90ab-cddeefaabbcc",
        "00020003-0004-0005-0006-000700080009",
    }
)


def check_name(text: str) -> str:
    """A host name of one label that no program takes for anything else."""
    if not _NAME.fullmatch(text):
        raise ValueError(
            "must be a host name of one label: a-z, 0-9 and hyphens inside, at most 63 characters"
        )
    if text in RESERVED_NAMES or text.isdigit() or text.startswith(("pool-", "tag-")):
        raise ValueError("is a word with a meaning of its own; choose another name")
    return text


def check_mac(value: object) -> object:
    """`AA-BB-…` and `aabb…` become `aa:bb:…`; raises ValueError for group addresses and all zeros."""
    if not isinstance(value, str):
        return value
    text = value.strip().lower().replace("-", ":")
    if re.fullmatch(r"[0-9a-f]{12}", text):
        text = ":".join(text[at : at + 2] for at in range(0, 12, 2))
    if not _MAC.fullmatch(text):
        raise ValueError("must be a MAC address like 52:54:00:12:34:56")
    if int(text[:2], 16) & 1 or text == "00:00:00:00:00:00":
        raise ValueError("is a group address or all zeros")
    return text


def check_uuid(value: object) -> object:
    """Lower case with hyphens."""
    if not isinstance(value, str):
        return value
    try:
        return str(UUID(value.strip()))
    except ValueError as error:
        raise ValueError("must be a UUID like 4c4c4544-0042-3510-8051-b4c04f333333") from error


def check_address(value: object) -> object:
    """An address of one machine: no loopback trick with names, no group, no scope."""
    if not isinstance(value, str):
        return value
    address = ip_address(value.strip())
    if address.is_multicast or address.is_unspecified or "%" in str(address):
        raise ValueError("must be the IP address of one machine")
    return str(address)


def usable_uuid(uuid: str | None) -> str | None:
    """The UUID, or None for one that many machines share."""
    return None if uuid is None or uuid in NO_UUIDS else uuid


# What makers leave in the place of a serial number.
NO_SERIALS = frozenset(
    {
        "",
        "0",
        "123456789",
        "default string",
        "empty",
        "invalid",
        "n/a",
        "na",
        "none",
        "not applicable",
        "not specified",
        "system serial number",
        "to be filled by o.e.m.",
        "unknown",
    }
)


def usable_serial(serial: str) -> str | None:
    """The serial number, or None for one that many machines share."""
    return None if serial.strip().lower() in NO_SERIALS else serial


def check_code(value: object) -> object:
    """Return a code as it is shown, whatever its letters and hyphens were typed as."""
    if not isinstance(value, str):
        return value
    digits = re.sub(r"[\s-]", "", value).lower()
    if not re.fullmatch(r"[0-9a-f]{12}", digits):
        raise ValueError("must be a code like 2c91-a110-1679")
    return "-".join(digits[at : at + 4] for at in range(0, 12, 4))


KeyCode = Annotated[str, BeforeValidator(check_code)]
# The pattern is for those who read the schema: check_name says the rule in words.
MachineName = Annotated[
    str,
    AfterValidator(check_name),
    Field(json_schema_extra={"pattern": f"^{NAME}$", "maxLength": 63}),
]
Mac = Annotated[str, BeforeValidator(check_mac)]
SmbiosUuid = Annotated[str, BeforeValidator(check_uuid)]
Address = Annotated[str, BeforeValidator(check_address)]
