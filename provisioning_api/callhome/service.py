"""Takes the calls of machines that were installed by other means: they wait, or are configured."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import socket
from dataclasses import dataclass
from ipaddress import ip_address

import paramiko
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning_api.callhome.schemas import CallHome, CallHomeAnswer, PinRequest, ProvisioningStatus
from provisioning_api.intake import Intake
from provisioning_api.machines.discovery import DiscoveryResult
from provisioning_api.machines.journal import MachineJournal
from provisioning_api.machines.models import Machine
from provisioning_api.machines.repository import Machines
from provisioning_api.machines.schemas import MachineDetail
from provisioning_api.machines.service import MachineService, get_machine
from provisioning_api.machines.states import MEMBERS, MachineState
from provisioning_api.rules.schemas import Reporter
from provisioning_api.rules.service import RuleService
from provisioning_api.runs.repository import Runs
from provisioning_api.runs.service import RunService
from provisioning_api.runs.states import RunState
from soundstage.database import Database, utcnow
from soundstage.errors import Conflict, Forbidden, Invalid, SoundstageError, TooManyRequests, Unavailable

CALLS_HOME = Reporter(calls_home=True)
MESSAGES = {
    MachineState.DISCOVERED: "It is on the list and waits for an operator.",
    MachineState.ACCEPTED: "It is accepted; it must enrol, or its host key must be pinned.",
    MachineState.CONFIGURING: "It is being configured.",
    MachineState.READY: "It is ready.",
}


LIMIT_S = 10.0


def fingerprint_of(line: str) -> str:
    """As `ssh-keygen -l` prints it."""
    blob = base64.b64decode(line.split()[1])
    return f"SHA256:{base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip('=')}"


def _read_host_key(address: str, port: int) -> str:
    """Returns the host key `ssh-ed25519 AAAA…`; raises Unavailable when no SSH server answers there."""
    try:
        with socket.create_connection((address, port), LIMIT_S) as connection:
            transport = paramiko.Transport(connection)
            try:
                # One kind, or the order of preference would decide which key is pinned.
                transport.get_security_options().key_types = ("ssh-ed25519",)
                transport.start_client(timeout=LIMIT_S)
                key = transport.get_remote_server_key()
            finally:
                transport.close()
    except (OSError, paramiko.SSHException) as error:
        raise Unavailable(
            "machine.no_host_key",
            f"{address}:{port} shows no Ed25519 host key: {error}.",
            "Check that its sshd runs and has an Ed25519 key, then pin it: `soundstage machines pin NAME`.",
        ) from error
    return f"{key.get_name()} {key.get_base64()}"


@dataclass(frozen=True, slots=True)
class Caller:
    """`machine_id` when the token is that of an enrolled machine; else the call carries an API key, which
    machines may share, and which may set the address of every machine (`may_set_address`) with the permission
    `machine:update`.
    """

    name: str
    machine_id: str | None
    may_set_address: bool = False


@dataclass
class CallHomeService:
    db: Database
    intake: Intake
    journal: MachineJournal
    machines: MachineService
    rules: RuleService
    runs: RunService

    async def call(self, call: CallHome, caller: Caller, source: str | None) -> CallHomeAnswer:
        """Registers the machine that calls, and starts its configure run when it is time.

        Without `may_set_address`, a call with a key sets the address only of machines that were accepted
        before, or just now by a rule for the source address of the call.

        Raises Forbidden, Conflict, and TooManyRequests for a new machine when its source reports too many or
        the waiting list is full; that refusal is recorded.
        """
        if caller.machine_id is None and not caller.may_set_address:
            _reject_local_address(call)
        pin: str | None = None
        try:
            async with self.db.transaction() as session:
                machine = await (
                    self._by_own_token(session, call, caller.machine_id)
                    if caller.machine_id
                    else self._by_hostname(session, call, source, caller)
                )
                run_id = await self._start_configure_run(session, machine, caller.name)
                if machine.state is MachineState.ACCEPTED and machine.host_key is None:
                    pin = await self._pinning_rule(session, machine, source)
                name, state = machine.name, machine.state
        except TooManyRequests as error:
            await self.intake.record_refusal(error, source)
            raise
        if pin is not None:
            # Reading its host key over the network takes time: outside of the transaction.
            return await self._pinned(name, pin)
        if run_id is not None:
            self.runs.wake()
        return CallHomeAnswer(
            message=MESSAGES.get(state, f"It is {state}."), hostname=name, status=state, run_id=run_id
        )

    async def pin(self, name: str, request: PinRequest, *, by: str) -> MachineDetail:
        """Pins the host key that an accepted machine shows now (trust on first use), and configures it."""
        machine = await self.machines.get(name)
        if machine.address is None:
            raise Invalid(
                "machine.no_address", f"{name} has no address.", "Give it one: `soundstage machines set`."
            )
        line = await asyncio.to_thread(_read_host_key, machine.address, machine.ssh_port)
        if request.fingerprint not in (None, fingerprint_of(line)):
            raise Forbidden(
                "machine.other_host_key",
                f"{name} shows the host key {fingerprint_of(line)}.",
                "Compare with `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` on the machine itself.",
            )
        async with self.db.transaction() as session:
            row = await get_machine(session, machine.id)
            other = await Machines(session).by_host_key(line)
            if other is not None and other.id != row.id:
                raise Conflict(
                    "machine.host_key_known",
                    f"This host key belongs to {other.name}.",
                    "Keys are made on each machine.",
                )
            row.host_key, row.host_key_from = line, "pinned"
            row.written = row.acceptance
            await self.journal.move(session, row, MachineState.ENROLLED, by=by)
            await self.journal.audit(session, row, by, "pinned", fingerprint=fingerprint_of(line))
            await self._start_configure_run(session, row, by)
        self.runs.wake()
        return await self.machines.get(machine.id)

    async def status(self, name: str) -> ProvisioningStatus:
        async with self.db.session() as session:
            return await _status(session, await get_machine(session, name))

    async def statuses(self) -> list[ProvisioningStatus]:
        """By name."""
        async with self.db.session() as session:
            return [await _status(session, machine) for machine in await Machines(session).list()]

    async def _by_own_token(self, session: AsyncSession, call: CallHome, machine_id: str) -> Machine:
        machine = await get_machine(session, machine_id)
        if machine.name != call.hostname:
            raise Forbidden(
                "callhome.other_name",
                f"This is the token of {machine.name}, not of {call.hostname}.",
                "A machine speaks for itself alone. If it was renamed, let it enrol anew.",
            )
        machine.seen_at = utcnow()
        if machine.state is MachineState.ENROLLED:
            # Clears the hint that it was silent for long.
            machine.hint = ""
        if machine.address != call.ip:
            await self.journal.emit(
                session, machine, "address_changed", before=machine.address, after=call.ip
            )
            machine.address = call.ip
        return machine

    async def _by_hostname(
        self, session: AsyncSession, call: CallHome, source: str | None, caller: Caller
    ) -> Machine:
        machine = await Machines(session).by_name(call.hostname)
        if machine is None:
            machine = Machine(name=call.hostname, state=MachineState.DISCOVERED)
            machine.address = call.ip if caller.may_set_address else None
            await Machines(session).add(machine)
            await self.intake.waiting_list.admit(session, machine, source)
            await self.journal.emit(session, machine, "discovered", address=call.ip, by=caller.name)
            await self.intake.apply_rules(session, DiscoveryResult(machine, True), source, CALLS_HOME)
            self._set_address(machine, call, source, expected=False)
            return machine
        if machine.address not in (None, call.ip):
            raise Conflict(
                "callhome.other_address",
                f"{machine.name} is known at {machine.address}, not at {call.ip}.",
                "If it has moved: `soundstage machines set NAME --address IP`.",
            )
        machine.seen_at = utcnow()
        expected = caller.may_set_address or machine.state is not MachineState.DISCOVERED
        await self.intake.apply_rules(session, DiscoveryResult(machine, False), source, _reporter(machine))
        self._set_address(machine, call, source, expected=expected)
        return machine

    def _set_address(self, machine: Machine, call: CallHome, source: str | None, *, expected: bool) -> None:
        """Sets the address of an expected machine. That of a machine which a rule has just accepted is set
        only to the source of the call, because the rule checked that address.
        """
        accepted = machine.state is not MachineState.DISCOVERED
        if expected or (accepted and source == call.ip):
            machine.address = call.ip

    async def _start_configure_run(self, session: AsyncSession, machine: Machine, by: str) -> str | None:
        """Starts a configure run of an enrolled machine, or finds the open one; returns its id."""
        if machine.state is MachineState.ENROLLED:
            return (await self.runs.configure(session, machine, reason="called home", by=by)).id
        if machine.state in MEMBERS:
            run = await Runs(session).open_of(machine.id)
            return None if run is None else run.id
        return None

    async def _pinning_rule(self, session: AsyncSession, machine: Machine, source: str | None) -> str | None:
        matching = await self.rules.fitting(session, machine, source, _reporter(machine))
        return next((f"rule {rule.name}" for rule in matching if rule.then.accept and rule.then.pin), None)

    async def _pinned(self, name: str, by: str) -> CallHomeAnswer:
        try:
            await self.pin(name, PinRequest(), by=by)
        except SoundstageError as error:
            async with self.db.transaction() as session:
                machine = await get_machine(session, name)
                machine.cause, machine.hint = error.message, error.hint
        found = await self.status(name)
        message = found.cause or MESSAGES.get(
            found.status, f"It is {found.status}; its run waits for its turn."
        )
        return CallHomeAnswer(message=message, hostname=name, status=found.status, run_id=found.run_id)


def _reject_local_address(call: CallHome) -> None:
    """Raises Forbidden for loopback and link-local addresses: this API would log in to itself by SSH."""
    address = ip_address(call.ip)
    address = getattr(address, "ipv4_mapped", None) or address
    if address.is_loopback or address.is_link_local:
        raise Forbidden(
            "callhome.bad_address",
            f"{call.ip} is no address at which this API reaches a machine.",
            "Call home with the address of the machine's network card.",
        )


def _reporter(machine: Machine) -> Reporter:
    """Returns the channel of the report: a machine with a ramdisk key never matches rules for calls home."""
    return CALLS_HOME if machine.agent_key is None else Reporter()


async def _status(session: AsyncSession, machine: Machine) -> ProvisioningStatus:
    run = await Runs(session).last_of(machine.id)
    return ProvisioningStatus(
        hostname=machine.name,
        ip=machine.address,
        status=machine.state,
        run_id=None if run is None else run.id,
        run=None if run is None else RunState(run.state),
        cause=machine.cause,
        hint=machine.hint,
    )
