"""The wire shape of the call-home endpoint, kept as machines in the field send it."""

from __future__ import annotations

from pydantic import BaseModel, Field

from provisioning_api.machines.identity import Address, MachineName
from provisioning_api.machines.states import MachineState
from provisioning_api.runs.states import RunState


class CallHome(BaseModel, extra="forbid"):
    """A name of one label, never a pattern; one IP address."""

    hostname: MachineName = Field(max_length=63)
    ip: Address


class CallHomeAnswer(BaseModel):
    message: str
    hostname: str
    status: MachineState
    run_id: str | None


class ProvisioningStatus(BaseModel):
    """`run`: the state of the last run on it."""

    hostname: str
    ip: str | None
    status: MachineState
    run_id: str | None
    run: RunState | None
    cause: str
    hint: str


class PinRequest(BaseModel, extra="forbid"):
    """`fingerprint` as `ssh-keygen -lf` prints it; None: whatever the machine shows now (trust on first
    use).
    """

    fingerprint: str | None = Field(default=None, pattern=r"^SHA256:[A-Za-z0-9+/]{43}$")
