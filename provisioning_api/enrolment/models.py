"""Tables of enrolments and of the credentials that came of them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, ForeignKey, Integer, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from provisioning_api.tables import ProvisioningBase
from soundstage.database import new_id, utcnow


class Enrolment(ProvisioningBase):
    """One permission to enrol, bound to a machine as it was known when it was armed.

    `agent_key` is that of the ramdisk that may claim the token; None: the first that claims. The token
    itself is nowhere; `token_sha256` is its hash.
    """

    __tablename__ = "enrolments"

    id: Mapped[str] = mapped_column(String(40), primary_key=True, default=lambda: new_id("enr"))
    machine_id: Mapped[str] = mapped_column(ForeignKey("machines.id", ondelete="CASCADE"), index=True)
    state: Mapped[str] = mapped_column(String(20))
    macs: Mapped[list[str]] = mapped_column(JSON)
    uuid: Mapped[str | None] = mapped_column(String(36), default=None)
    agent_key: Mapped[str | None] = mapped_column(String(64), default=None)
    token_sha256: Mapped[str | None] = mapped_column(String(64), unique=True, default=None)
    armed_by: Mapped[str] = mapped_column(String(200))
    armed_at: Mapped[datetime] = mapped_column(default=utcnow)
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None] = mapped_column(default=None)


class Credential(ProvisioningBase):
    """One certificate, or one token that an engine knows. An enrolment gives at most one of each kind, and so
    does each renewal of it (`generation`, from 0), which the database itself holds to.

    `content` is never a secret: a certificate, or nothing. `withdrawn_at`: when the engine was told of the
    end.
    """

    __tablename__ = "credentials"
    __table_args__ = (UniqueConstraint("enrolment_id", "kind", "generation"),)

    serial: Mapped[str] = mapped_column(String(40), primary_key=True)
    enrolment_id: Mapped[str] = mapped_column(ForeignKey("enrolments.id", ondelete="CASCADE"))
    machine_id: Mapped[str] = mapped_column(ForeignKey("machines.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str] = mapped_column(String(20))
    generation: Mapped[int] = mapped_column(Integer, default=0)
    content: Mapped[str] = mapped_column(Text)
    issued_at: Mapped[datetime] = mapped_column(default=utcnow)
    not_after: Mapped[datetime]
    revoked_at: Mapped[datetime | None] = mapped_column(default=None)
    revoked_because: Mapped[str] = mapped_column(String(200), default="")
    withdrawn_at: Mapped[datetime | None] = mapped_column(default=None)


class MachineToken(ProvisioningBase):
    """The token that an enrolled machine calls home with; only its hash is stored."""

    __tablename__ = "machine_tokens"

    token_sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    machine_id: Mapped[str] = mapped_column(ForeignKey("machines.id", ondelete="CASCADE"), unique=True)
    issued_at: Mapped[datetime] = mapped_column(default=utcnow)


class UsedChallenge(ProvisioningBase):
    """The nonce of a challenge that was answered, until the challenge itself has ended."""

    __tablename__ = "used_challenges"

    nonce: Mapped[str] = mapped_column(String(16), primary_key=True)
    ends_at: Mapped[datetime] = mapped_column(index=True)
