"""Wire types of machines."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from provisioning_api.machines.hardware import Change, Hardware
from provisioning_api.machines.identity import MAX_MACS, Address, Mac, MachineName, SmbiosUuid
from provisioning_api.machines.states import MachineState

Tag = Annotated[str, Field(pattern=r"^[a-z0-9](?:[a-z0-9_-]{0,38}[a-z0-9])?$")]


class Identity(BaseModel):
    """How hardware is known: all its MAC addresses, and the UUID that its firmware tells."""

    model_config = ConfigDict(extra="forbid")

    macs: Annotated[set[Mac], Field(min_length=1, max_length=MAX_MACS)]
    uuid: SmbiosUuid | None = None


class Discovery(Identity):
    """What an inventory ramdisk sends at every boot. `agent_key`: its Ed25519 key, 64 hex digits, made in
    RAM.
    """

    hardware: Hardware = Hardware()
    address: Address | None = None
    agent_key: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None


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


class MachineView(BaseModel):
    """`seen_macs` is empty unless it reported others than it was accepted with; `code` is on its console."""

    id: str
    name: str
    state: MachineState
    pool: str
    tags: list[str]
    macs: list[str]
    seen_macs: list[str]
    uuid: str | None
    code: str
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


class Acceptance(BaseModel):
    """A yes. What is left out stays as it is."""

    model_config = ConfigDict(extra="forbid")

    name: MachineName | None = None
    pool: Tag | None = None
    tags: list[Tag] | None = Field(default=None, max_length=40)


class MachineChange(Acceptance):
    address: Address | None = None
    ssh_port: Annotated[int, Field(ge=1, le=65535)] | None = None
