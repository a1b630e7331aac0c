"""The life of a machine. One function moves it, and a guard says what a move needs; the docs draw this
table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from soundstage.errors import Conflict
from soundstage.transitions import Transitions


class MachineState(StrEnum):
    """discovered: seen, trusted with nothing; accepted: by an operator or a named rule; wipe_unverified:
    what was reported of the wipe does not prove that the known disks are empty.
    """

    DISCOVERED = "discovered"
    ACCEPTED = "accepted"
    DEPLOYING = "deploying"
    ENROLLED = "enrolled"
    CONFIGURING = "configuring"
    READY = "ready"
    DRAINING = "draining"
    WIPE_UNVERIFIED = "wipe_unverified"
    RETIRED = "retired"
    FAILED = "failed"


S = MachineState

MACHINE_TRANSITIONS = Transitions(
    MachineState,
    {
        # Retired at once: an operator rejected it.
        S.DISCOVERED: {S.ACCEPTED, S.RETIRED, S.FAILED},
        # Straight to enrolled: it was installed already. Back to discovered: the acceptance was withdrawn.
        S.ACCEPTED: {S.DEPLOYING, S.ENROLLED, S.DISCOVERED, S.DRAINING, S.FAILED},
        # Draining: a retirement does not wait for a deployment that never ends.
        S.DEPLOYING: {S.ENROLLED, S.DRAINING, S.FAILED},
        # Accepted: to be written once more, which needs a new acceptance.
        S.ENROLLED: {S.CONFIGURING, S.ACCEPTED, S.DRAINING, S.FAILED},
        # Back to enrolled: the run was cancelled before it changed this machine.
        S.CONFIGURING: {S.READY, S.ENROLLED, S.DRAINING, S.FAILED},
        S.READY: {S.CONFIGURING, S.ACCEPTED, S.DRAINING, S.FAILED},
        S.DRAINING: {S.RETIRED, S.WIPE_UNVERIFIED, S.FAILED},
        # Draining: the wipe is repeated, or an operator confirms that the disks were destroyed. Never retired
        # automatically.
        S.WIPE_UNVERIFIED: {S.DRAINING, S.ACCEPTED},
        # Only by a new acceptance: a rejected machine does not come back by reporting again.
        S.RETIRED: {S.ACCEPTED},
        S.FAILED: {S.ACCEPTED, S.CONFIGURING, S.DRAINING},
    },
    lambda current, target: Conflict(
        "machine.bad_transition",
        f"A machine that is {current} cannot become {target}.",
        "Read it again: `soundstage machines show NAME` tells where it is and what comes next.",
    ),
)

# States in which machines may hold credentials and appear in the inventory.
MEMBERS = frozenset({S.ENROLLED, S.CONFIGURING, S.READY})


@dataclass(frozen=True, slots=True)
class GuardFacts:
    """Facts about one machine that guards check besides its state."""

    acceptance: int = 0
    written: int = 0
    has_host_key: bool = False
    has_address: bool = False

    @property
    def may_be_written(self) -> bool:
        """One write per acceptance, so a boot loop cannot wipe a disk again."""
        return self.acceptance > self.written


@dataclass(frozen=True, slots=True)
class Guard:
    """A condition of a move besides the table: `needs` completes "It needs …"."""

    holds: Callable[[GuardFacts], bool]
    needs: str


GUARDS: Mapping[tuple[MachineState, MachineState], Guard] = {
    (S.ACCEPTED, S.DEPLOYING): Guard(
        lambda facts: facts.may_be_written, "an acceptance that has not been used for a write yet"
    ),
    (S.ACCEPTED, S.ENROLLED): Guard(lambda facts: facts.has_host_key, "a host key that is known"),
    (S.DEPLOYING, S.ENROLLED): Guard(lambda facts: facts.has_host_key, "a host key that is known"),
    (S.ENROLLED, S.CONFIGURING): Guard(lambda facts: facts.has_address, "an address"),
    (S.READY, S.CONFIGURING): Guard(lambda facts: facts.has_address, "an address"),
    (S.FAILED, S.CONFIGURING): Guard(
        lambda facts: facts.has_host_key and facts.has_address,
        "a host key that is known, and an address",
    ),
}


def move(current: MachineState, target: MachineState, facts: GuardFacts) -> MachineState:
    """The new state; raises `machine.bad_transition` or `machine.not_yet`, and writes nothing."""
    MACHINE_TRANSITIONS.move(current, target)
    guard = GUARDS.get((current, target))
    if guard is not None and not guard.holds(facts):
        raise Conflict(
            "machine.not_yet",
            f"A machine that is {current} becomes {target} only with {guard.needs}.",
            "`soundstage machines show NAME` tells what is missing.",
        )
    return target
