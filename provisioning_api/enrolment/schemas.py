"""Wire types of enrolment: what operators arm, what ramdisks claim and exchange."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, model_validator

from provisioning_api.enrolment.states import EnrolmentState
from provisioning_api.machines.schemas import Identity
from provisioning_api.machines.states import MachineState

EngineName = Literal["nomad", "consul"]
ENGINES: tuple[EngineName, ...] = ("nomad", "consul")
AgentKey = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
MachineId = Annotated[str, Field(pattern=r"^mch_[0-9a-z]{26}$")]


class SignedCall(BaseModel, extra="forbid"):
    """`signature`: Ed25519, over the lines verb, machine id, challenge and SHA-256 of `payload`, in hex."""

    machine_id: MachineId
    challenge: str = Field(max_length=200)
    payload: str = Field(default="", max_length=60_000, description="JSON of the call, as text")
    signature: str = Field(pattern=r"^[0-9a-f]{128}$")


class SignedReport(BaseModel, extra="forbid"):
    """A report, signed by the key that it presents. `payload`: JSON of a `Discovery`, as text; `signature`:
    Ed25519, over the lines `discover`, `agent_key`, challenge and SHA-256 of `payload`, in hex.
    """

    agent_key: AgentKey
    challenge: str = Field(max_length=200)
    payload: str = Field(max_length=250_000)
    signature: str = Field(pattern=r"^[0-9a-f]{128}$")


class Claimed(BaseModel):
    """`token` is None while nothing is armed; `next` is what the ramdisk does now."""

    state: MachineState
    next: Literal["wait", "write", "enrol", "wipe", "boot"]
    token: str | None = None
    expires_at: datetime | None = None
    challenge: str


class Exchange(Identity):
    """One token, and public keys that were made on the machine."""

    token: str = Field(min_length=40, max_length=100)
    host_key: str = Field(max_length=2000, description="a line of /etc/ssh/ssh_host_*_key.pub")
    csr: str = Field(max_length=8000, description="PKCS #10 in PEM")


class NomadIdentity(BaseModel):
    """`introduction_token` lets a client of this name and pool register for the first time, within half an
    hour; for `intro_token.jwt` in Nomad's `client` folder. None where no Nomad is known, or it was away.
    """

    region: str
    introduction_token: str | None = None


class ConsulIdentity(BaseModel):
    """`gossip_key` as Consul's `encrypt` wants it; None where gossip is not encrypted. `agent_token` lets
    Consul's agent be the node of this name; None where no Consul is known, or it was away.
    """

    datacenter: str
    gossip_key: str | None = None
    agent_token: str | None = None


class Membership(BaseModel):
    """All that makes a machine a member. Private keys are not in it: they never left the machine."""

    machine_id: str
    name: str
    host_certificate: str
    user_ca: str = Field(description="for sshd's TrustedUserCAKeys")
    ssh_user: str
    certificate: str = Field(description="X.509 in PEM, for Consul and Nomad")
    ca: str
    nomad: NomadIdentity
    consul: ConsulIdentity
    call_home_token: str
    not_after: datetime


class JoinTokens(BaseModel):
    """The settings and tokens with which a member joins the engines; only of those that were requested."""

    nomad: NomadIdentity
    consul: ConsulIdentity


class RenewalCall(BaseModel, extra="forbid"):
    """`signature`, in base64, by the key of the certificate with this serial number, over the lines `renew`,
    machine id, challenge and SHA-256 of `csr` in hex. ECDSA and RSA (PKCS #1 v1.5) with SHA-256, or Ed25519.
    """

    machine_id: MachineId
    challenge: str = Field(max_length=200)
    serial: str = Field(pattern=r"^[0-9]{1,40}$", description="of the certificate to be renewed, in decimal")
    csr: str = Field(max_length=8000, description="PKCS #10 in PEM, for the key of the new certificate")
    signature: str = Field(pattern=r"^[A-Za-z0-9+/]{40,1400}={0,2}$")


class Renewed(BaseModel):
    """The next certificates. The old one goes on working until its own end; it is renewed only once."""

    host_certificate: str
    certificate: str
    ca: str
    user_ca: str
    not_after: datetime


class ChallengeRequest(BaseModel, extra="forbid"):
    """One of the two: a machine that is known, or a key that reports."""

    machine_id: MachineId | None = None
    agent_key: AgentKey | None = None

    @property
    def subject(self) -> str:
        """The machine id or key that the challenge is bound to."""
        return self.machine_id or self.agent_key or ""

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        if (self.machine_id is None) == (self.agent_key is None):
            raise ValueError("name either machine_id or agent_key")
        return self


class Challenge(BaseModel):
    challenge: str


class ArmRequest(BaseModel, extra="forbid"):
    """`bind`: whose claim is honoured: the ramdisk that reported last, or the next that claims.

    `deliver`: `ramdisk` claims the token itself; `operator` gets it in this answer, to carry it to a machine
    that is installed already.
    """

    bind: Literal["reported", "next"] = "reported"
    deliver: Literal["ramdisk", "operator"] = "ramdisk"


class EnrolmentView(BaseModel):
    id: str
    machine_id: str
    state: EnrolmentState
    macs: list[str]
    uuid: str | None
    bound: bool
    armed_by: str
    armed_at: datetime
    expires_at: datetime
    used_at: datetime | None


class Armed(EnrolmentView):
    """`token` only when it was asked for, and only now."""

    token: str | None = None


class CredentialView(BaseModel):
    """`generation`: how often it was renewed, from 0."""

    serial: str
    kind: str
    generation: int
    issued_at: datetime
    not_after: datetime
    revoked_at: datetime | None
