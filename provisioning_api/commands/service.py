"""Runs an allowed command on a member, and records who ran what."""

from __future__ import annotations

import asyncio
import re
import secrets
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from datetime import timedelta
from importlib.resources import files
from typing import Annotated

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import BaseModel, Field

from provisioning_api.audit.service import AuditLog
from provisioning_api.certificates.ssh_authority import SshAuthority
from provisioning_api.commands.ssh import Ran, Target, run_command
from provisioning_api.machines.models import Machine
from provisioning_api.machines.service import get_machine
from provisioning_api.machines.states import MEMBERS
from soundstage.database import Database
from soundstage.errors import Conflict, Forbidden, SoundstageError, Unavailable
from soundstage.views import read_view

# Connections at the same time; each holds a thread.
AT_ONCE = 16

Word = Annotated[str, Field(min_length=1, max_length=200)]


_PLACE = re.compile(r"\{([a-z]+)\}")


@dataclass(frozen=True, slots=True)
class AllowedCommand:
    """`argv` with places in braces; `words` say what may stand in them."""

    sentence: str
    argv: tuple[str, ...]
    words: Mapping[str, re.Pattern[str]]

    def fits(self, argv: Sequence[str]) -> bool:
        """Returns whether it is this command, word for word."""
        if len(argv) != len(self.argv):
            return False
        return all(self._word_fits(ours, theirs) for ours, theirs in zip(self.argv, argv, strict=True))

    def _word_fits(self, ours: str, theirs: str) -> bool:
        place = _PLACE.fullmatch(ours)
        return ours == theirs if place is None else bool(self.words[place[1]].fullmatch(theirs))


class AllowList:
    def __init__(self, commands: Sequence[AllowedCommand]) -> None:
        self.commands = tuple(commands)

    @classmethod
    def default(cls) -> AllowList:
        return cls.parse(
            files("provisioning_api.commands").joinpath("allowed.toml").read_text(encoding="utf-8")
        )

    @classmethod
    def parse(cls, text: str) -> AllowList:
        """KeyError and TOMLDecodeError for a file that cannot be used: it is ours."""
        table = tomllib.loads(text)
        words = {name: re.compile(pattern) for name, pattern in table["words"].items()}
        found = [AllowedCommand(one["sentence"], tuple(one["argv"]), words) for one in table["command"]]
        for command in found:
            for word in command.argv:
                if (place := _PLACE.fullmatch(word)) is not None and place[1] not in words:
                    raise KeyError(f"{command.argv}: nothing says what {word} may be")
        return cls(found)

    def check(self, argv: Sequence[str]) -> AllowedCommand:
        """The entry that allows it; `command.not_allowed` when none does."""
        for command in self.commands:
            if command.fits(argv):
                return command
        raise Forbidden(
            "command.not_allowed",
            f"The command {' '.join(argv)[:100]!r} is not on the list of allowed commands.",
            "List them: `soundstage machines commands`. What changes a machine is a run of Ansible.",
        )


class CommandRequest(BaseModel, extra="forbid"):
    """`argv`: the words of an allowed command, e.g. `["systemctl", "status", "--no-pager", "nomad"]`."""

    argv: list[Word] = Field(min_length=1, max_length=40)
    timeout_s: float | None = Field(
        default=None, gt=0, le=600, description="less than the limit of the settings"
    )


class CommandResult(BaseModel):
    """`exit_code` is None when the time was up and it was ended."""

    machine: str
    argv: list[str]
    exit_code: int | None
    output: str
    truncated: bool
    seconds: float


class CommandPlan(BaseModel):
    """A command that has not run yet. It is ended after `timeout_s`."""

    machine: str
    argv: list[str]
    sentence: str
    timeout_s: float


class CommandView(BaseModel):
    argv: list[str]
    sentence: str


@dataclass
class CommandService:
    db: Database
    audit: AuditLog
    ssh: SshAuthority
    _: KW_ONLY
    user: str
    timeout_s: float
    output_kib: int

    def __post_init__(self) -> None:
        self._allowed = AllowList.default()
        self._slots = asyncio.Semaphore(AT_ONCE)

    def list_allowed(self) -> list[CommandView]:
        """Everything that may be run."""
        return [CommandView(argv=list(one.argv), sentence=one.sentence) for one in self._allowed.commands]

    async def plan(self, name: str, request: CommandRequest) -> CommandPlan:
        """Raises what `run` would raise before it connects; nothing is recorded."""
        async with self.db.session() as session:
            machine = await get_machine(session, name)
        allowed = self._allowed.check(request.argv)
        self._target(machine)
        return CommandPlan(
            machine=machine.name,
            argv=request.argv,
            sentence=allowed.sentence,
            timeout_s=self._limit_s(request),
        )

    async def run(self, name: str, request: CommandRequest, *, by: str) -> CommandResult:
        """Refusals are recorded as well as what ran."""
        async with self.db.session() as session:
            machine = await get_machine(session, name)
        try:
            self._allowed.check(request.argv)
            target = self._target(machine)
            ran = await self._run(target, request, by)
        except SoundstageError as error:
            await self.audit.record_now(
                by, "command.refused", machine.id, {"argv": request.argv, "code": error.code}
            )
            raise
        facts = {"argv": request.argv, "exit_code": ran.exit_code, "seconds": ran.seconds}
        await self.audit.record_now(by, "command.ran", machine.id, facts)
        return read_view(CommandResult, ran, machine=machine.name, argv=request.argv)

    def _target(self, machine: Machine) -> Target:
        """Returns how it is reached; `command.not_a_member` for one that is not enrolled."""
        if machine.state not in MEMBERS or machine.host_key is None or machine.address is None:
            raise Conflict(
                "command.not_a_member",
                f"{machine.name} is {machine.state}; commands run on enrolled machines only.",
                "`soundstage machines show NAME` tells what is missing.",
            )
        return Target(machine.name, machine.address, machine.ssh_port, self.user, machine.host_key)

    def _limit_s(self, request: CommandRequest) -> float:
        return min(request.timeout_s or self.timeout_s, self.timeout_s)

    async def _run(self, target: Target, request: CommandRequest, by: str) -> Ran:
        limit_s = self._limit_s(request)
        key = Ed25519PrivateKey.generate()
        certificate = self.ssh.user_certificate(
            key.public_key(),
            secrets.randbits(63) | 1,
            f"soundstage command by {by}",
            self.user,
            timedelta(seconds=limit_s + 60),
        )
        if self._slots.locked():
            raise Unavailable(
                "command.busy", "Too many commands run at the same time.", "Try again in a moment."
            )
        limit = self.output_kib << 10
        async with self._slots:
            return await asyncio.to_thread(
                run_command, target, request.argv, key, certificate, timeout_s=limit_s, limit=limit
            )
