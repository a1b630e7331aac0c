"""Calls the provisioning API for tools, and parses its answers; the composition root fills
the door. Keys and rights are the API's: nothing here can reach a machine.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from difflib import get_close_matches
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from policy import Principal
from soundstage.errors import Conflict, NotFound, Upstream

NEW = "new"
"""Stands for the one machine that waits for a yes."""

Parsed = TypeVar("Parsed")


class MachinesClient(Protocol):
    """One conversation with the API. Errors come out as the API meant them: code, sentence and hint."""

    async def get(self, path: str, **params: Any) -> Any: ...

    async def post(self, path: str, body: Any = None) -> Any: ...

    def events(self, path: str) -> AsyncIterator[dict[str, Any]]: ...


MachinesFactory = Callable[[Principal], AbstractAsyncContextManager[MachinesClient]]
"""For whom the calls are made: the API writes that down."""


class _Answer(BaseModel, frozen=True, extra="ignore"):
    """A part of an answer; what is new in a later version is no error."""


class Disk(_Answer):
    name: str
    bytes: int
    model: str = ""


class Card(_Answer):
    model: str = ""
    vram_mib: int = 0


class Hardware(_Answer):
    cpu_model: str = ""
    cpu_threads: int = 0
    memory_mib: int = 0
    disks: tuple[Disk, ...] = ()
    gpus: tuple[Card, ...] = ()


class OtherKey(_Answer):
    """A key that reports as a machine and does not count for it."""

    code: str
    source: str
    since: datetime
    same_source: bool


class Machine(_Answer):
    """`hardware` and `next` are only in the answer on one machine."""

    id: str
    name: str
    state: str
    pool: str
    tags: tuple[str, ...]
    macs: tuple[str, ...] = ()
    code: str = ""
    conflicts: tuple[OtherKey, ...] = ()
    address: str | None = None
    cause: str = ""
    hint: str = ""
    power: str | None = None
    created_at: datetime
    seen_at: datetime
    hardware: Hardware | None = None


class Span(_Answer):
    name: str
    source: str
    seconds: float
    critical: bool


class Timeline(_Answer):
    spans: tuple[Span, ...]
    seconds: float
    critical_seconds: float


class RunMachine(_Answer):
    name: str
    result: str
    changed: int


class Run(_Answer):
    id: str
    state: str
    playbook: str
    machines: tuple[RunMachine, ...]
    tags: tuple[str, ...]
    check: bool
    reason: str
    requested_by: str
    cause: str
    hint: str
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None

    @property
    def ended(self) -> bool:
        return self.state not in ("queued", "running")


class Role(_Answer):
    name: str
    tags: tuple[str, ...]


class Playbook(_Answer):
    """`path` as a run names it; of `roles` those with tags can run alone. `sha256`: of all it reads."""

    path: str
    title: str
    roles: tuple[Role, ...]
    sha256: str


def parse_answer(kind: type[Parsed], answer: object) -> Parsed:
    """The answer as that type; `machines.strange_answer` when it is something else."""
    try:
        return TypeAdapter(kind).validate_python(answer)
    except ValidationError as error:
        raise Upstream(
            "machines.strange_answer",
            "The provisioning API answers in another way than this program expects.",
            "Bring both to the same version.",
        ) from error


async def all_machines(api: MachinesClient, *states: str) -> list[Machine]:
    """By name, without their hardware."""
    return parse_answer(list[Machine], await api.get("/api/machines", state=list(states) or None))


async def get_machine(api: MachinesClient, name: str) -> Machine:
    """The machine that is meant, with its hardware: by name, id or the code on its console, or `new`.

    Only names that the API has listed reach a path.
    """
    return parse_answer(Machine, await api.get(f"/api/machines/{(await find_machine(api, name)).id}"))


async def find_machine(api: MachinesClient, name: str) -> Machine:
    """As `one_machine`, without its hardware. Raises `machine.not_found`, with a name that is near, and
    `machine.none_waits` or `machine.several_wait` for `new`.
    """
    machines = await all_machines(api)
    if name.strip().casefold() == NEW:
        return _the_new_one([one for one in machines if one.state == "discovered"])
    folded = name.strip().casefold()
    for machine in machines:
        if folded in (machine.name.casefold(), machine.id.casefold(), machine.code or None):
            return machine
    names = [machine.name for machine in machines]
    near = get_close_matches(folded, names, n=1, cutoff=0.6)
    if near:
        hint = f"Did you mean {near[0]}?"
    else:
        hint = "Say “which machines do we have?”." if names else "None has reported yet."
    raise NotFound("machine.not_found", f"There is no machine {name.strip()!r}.", hint)


def _the_new_one(waiting: list[Machine]) -> Machine:
    if len(waiting) == 1:
        return waiting[0]
    if not waiting:
        raise NotFound(
            "machine.none_waits",
            "No machine waits for a yes.",
            "A new one shows up when it has started from the network.",
        )
    names = ", ".join(f"{one.name} (code {one.code})" if one.code else one.name for one in waiting[:10])
    raise Conflict(
        "machine.several_wait",
        f"{len(waiting)} machines wait for a yes: {names}.",
        f"Say which: “accept {waiting[0].name}”.",
    )
