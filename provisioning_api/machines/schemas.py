"""Wire types of machines."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field

from provisioning_api.machines.hardware import Change, Hardware
from provisioning_api.machines.identity import (
    MAX_MACS,
    Address,
    KeyCode,
    Mac,
    MachineName,
    SmbiosUuid,
)
from provisioning_api.machines.states import MachineState

Tag = Annotated[str, Field(pattern=r"^[a-z0-9](?:[a-z0-9_-]{0,38}[a-z0-9])?$")]


class Identity(BaseModel, extra="forbid"):
    """The identity of hardware: all its MAC addresses, and the UUID that its firmware reports."""

    macs: Annotated[set[Mac], Field(min_length=1, max_length=MAX_MACS)]
    uuid: SmbiosUuid | None = None


class MemberProof(BaseModel, extra="forbid"):
    """`signature`, in base64, by the key of the certificate with this serial number, over the lines `member`,
    the key of the ramdisk, challenge and the SHA-256 of nothing, in hex.
    """

    serial: str = Field(pattern=r"^[0-9]{1,40}$", description="of the member's certificate, in decimal")
    signature: str = Field(pattern=r"^[A-Za-z0-9+/]{40,1400}={0,2}$")


class Discovery(Identity):
    """The report of an inventory ramdisk at every boot, the payload of a signed call.

    `member` and `announced` prove a key that is new for the machine: by the credential on its disk, and by
    the secret that its serial number was announced with (HMAC-SHA256 over the lines `announced`, the key of
    the ramdisk, challenge and the SHA-256 of nothing, in hex).
    """

    hardware: Hardware = Hardware()
    address: Address | None = None
    member: MemberProof | None = None
    announced: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")


class Discovered(BaseModel):
    """`challenge` is what the ramdisk signs in its next calls; `code` stands on its console for people to
    compare.
    """

    machine_id: str
    name: str
    state: MachineState
    code: str
    challenge: str
    poll_s: int = 5


class OtherKey(BaseModel):
    """A key that reports as a machine and does not count for it; nothing that it said was taken up.

    `same_source`: it reports from the address that the key that counts reported from last.
    """

    code: str
    source: str
    since: datetime
    last_at: datetime
    reports: int
    same_source: bool


class MachineView(BaseModel):
    """`seen_macs` is empty unless it reported others than it was accepted with; `code` is on its console, and
    is that of the key that counts. `conflicts`: other keys that report as this machine.
    """

    id: str
    name: str
    state: MachineState
    pool: str
    tags: list[str]
    macs: list[str]
    seen_macs: list[str]
    uuid: str | None
    code: str
    code_source: str | None
    code_since: datetime | None
    conflicts: list[OtherKey]
    address: str | None
    ssh_port: int
    host_key_from: str
    accepted_by: str
    may_be_written: bool
    cause: str
    hint: str
    power: str | None
    created_at: datetime
    seen_at: datetime


class MachineDetail(MachineView):
    """With what it is made of, and what comes next."""

    host_key: str | None
    hardware: Hardware | None
    next: str


class ReportView(BaseModel):
    at: datetime
    sha256: str
    changes: list[Change]


class Naming(BaseModel, extra="forbid"):
    """A change of a machine; missing fields stay as they are."""

    name: MachineName | None = None
    pool: Tag | None = None
    tags: list[Tag] | None = Field(default=None, max_length=40)


class Acceptance(Naming):
    """A yes. `code`: that of the key which was seen, as the list and the machine's console show it; refused
    with `machine.code_changed` when another key counts. Left out for a machine that has none.
    """

    code: KeyCode | None = None


class KeyChoice(BaseModel, extra="forbid"):
    """`code`: that of the key that counts from now on, as it stands on the machine's console."""

    code: KeyCode


class MachineChange(Naming):
    address: Address | None = None
    ssh_port: Annotated[int, Field(ge=1, le=65535)] | None = None
