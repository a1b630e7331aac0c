"""Tables of machines, their network addresses and what their ramdisks reported."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Dialect, ForeignKey, Integer, String, Text, TypeDecorator
from sqlalchemy.orm import Mapped, mapped_column

from provisioning_api.machines.states import GuardFacts, MachineState
from provisioning_api.tables import ProvisioningBase
from soundstage.database import new_id, utcnow


class StateColumn(TypeDecorator[MachineState]):
    """Stores a `MachineState` as text."""

    impl = String(20)
    cache_ok = True

    def process_bind_param(self, value: MachineState | None, dialect: Dialect) -> str | None:
        """Returns the text of a state."""
        return None if value is None else str(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> MachineState | None:
        """Returns the state of a text. Raises ValueError for an unknown one."""
        return None if value is None else MachineState(value)


class Machine(ProvisioningBase):
    """One machine. Each acceptance grants one write: `acceptance` counts the grants, `written` is the number
    of the last grant that was used or given up. A disk is written to only while `acceptance` is larger.
    """

    __tablename__ = "machines"

    id: Mapped[str] = mapped_column(String(40), primary_key=True, default=lambda: new_id("mch"))
    name: Mapped[str] = mapped_column(String(63), unique=True)
    uuid: Mapped[str | None] = mapped_column(String(36), default=None, index=True)
    state: Mapped[MachineState] = mapped_column(StateColumn, index=True)
    pool: Mapped[str] = mapped_column(String(40), default="default")
    tags: Mapped[list[str]] = mapped_column(JSON, default=list)
    address: Mapped[str | None] = mapped_column(String(45), default=None)
    ssh_port: Mapped[int] = mapped_column(Integer, default=22)
    host_key: Mapped[str | None] = mapped_column(String(1000), default=None)
    host_key_from: Mapped[str] = mapped_column(String(20), default="")
    agent_key: Mapped[str | None] = mapped_column(String(64), default=None)
    seen_macs: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True), default=None)
    acceptance: Mapped[int] = mapped_column(Integer, default=0)
    written: Mapped[int] = mapped_column(Integer, default=0)
    accepted_by: Mapped[str] = mapped_column(String(200), default="")
    accepted_at: Mapped[datetime | None] = mapped_column(default=None)
    hardware: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True), default=None)
    hardware_sha256: Mapped[str | None] = mapped_column(String(64), default=None)
    cause: Mapped[str] = mapped_column(Text, default="")
    hint: Mapped[str] = mapped_column(Text, default="")
    power: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True), default=None)
    wiping: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True), default=None)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    seen_at: Mapped[datetime] = mapped_column(default=utcnow)

    @property
    def guard_facts(self) -> GuardFacts:
        """The facts that the guards of the state table check."""
        return GuardFacts(self.acceptance, self.written, bool(self.host_key), bool(self.address))


class MachineMac(ProvisioningBase):
    """A MAC address belongs to one machine at most."""

    __tablename__ = "machine_macs"

    mac: Mapped[str] = mapped_column(String(17), primary_key=True)
    machine_id: Mapped[str] = mapped_column(ForeignKey("machines.id", ondelete="CASCADE"), index=True)


class MachineKey(ProvisioningBase):
    """A key that reported as this machine. The one that counts is the machine's `agent_key`; every other is a
    conflict that a person resolves. `source`: the address at the other end of the last report's connection.
    """

    __tablename__ = "machine_keys"

    machine_id: Mapped[str] = mapped_column(ForeignKey("machines.id", ondelete="CASCADE"), primary_key=True)
    agent_key: Mapped[str] = mapped_column(String(64), primary_key=True)
    source: Mapped[str] = mapped_column(String(45))
    first_at: Mapped[datetime] = mapped_column(default=utcnow)
    last_at: Mapped[datetime] = mapped_column(default=utcnow)
    reports: Mapped[int] = mapped_column(Integer, default=1)


class HardwareReport(ProvisioningBase):
    """A report that differed from the one before; `changes` is the difference."""

    __tablename__ = "hardware_reports"

    id: Mapped[str] = mapped_column(String(40), primary_key=True, default=lambda: new_id("hwr"))
    machine_id: Mapped[str] = mapped_column(ForeignKey("machines.id", ondelete="CASCADE"), index=True)
    sha256: Mapped[str] = mapped_column(String(64))
    hardware: Mapped[dict[str, Any]] = mapped_column(JSON)
    changes: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    at: Mapped[datetime] = mapped_column(default=utcnow)
