"""Limits of healing: how much of the farm may be touched at once, and what comes after a failed step."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from provisioning_api.engines.node_facts import NodeFacts
from provisioning_api.healing.models import HealingCase
from provisioning_api.healing.repository import REINSTALL, RESTART, HealingActions, HealingCases
from provisioning_api.healing.states import ACTIVE, Consent, HealingState
from provisioning_api.machines.repository import Machines
from provisioning_api.machines.states import MachineState
from soundstage.settings.healing import HealingSettings


@dataclass(frozen=True, slots=True)
class NextStep:
    """The next state of a case, the reason, and the consent that is requested from an operator."""

    state: HealingState
    reason: str = ""
    consent: Consent = Consent.NONE


def needs_operator(reason: str, consent: Consent = Consent.NONE) -> NextStep:
    return NextStep(HealingState.NEEDS_OPERATOR, reason, consent)


async def reason_to_wait(session: AsyncSession, settings: HealingSettings) -> str:
    """Returns why no further machine may be touched now; empty when one may be."""
    cases = await HealingCases(session).list()
    active = sum(case.state in ACTIVE for case in cases)
    if active >= settings.at_once:
        return f"{active} of at most {settings.at_once} machines are being healed (`at_once`)."
    ready = len(await Machines(session).list([MachineState.READY]))
    allowed = max(1, ready * settings.share_percent // 100)
    if len(cases) > allowed:
        return (
            f"{len(cases)} of {ready} machines fail, more than {settings.share_percent} % (`share_percent`): "
            "look at the network and at Nomad's servers first."
        )
    return ""


def is_last_of_kind(node: NodeFacts, nodes: Iterable[NodeFacts]) -> bool:
    """Returns whether a drain would take away the last node that works of its pool and cards."""
    if not (node.is_up and node.eligible):
        return False
    return not any(one.id != node.id and one.kind == node.kind and one.is_well for one in nodes)


async def after_failure(
    session: AsyncSession, case: HealingCase, settings: HealingSettings, now: datetime
) -> NextStep:
    """Returns the next power cycle, reinstallation, or the end of what healing can do."""
    if settings.level != "power":
        return needs_operator("It is drained. `provisioning.healing.level` allows no power cycle.")
    actions = HealingActions(session)
    since = now - timedelta(hours=settings.window_hours)
    restarts = await actions.count(RESTART, since, case.machine_id)
    if await actions.count(REINSTALL, since, case.machine_id):
        return needs_operator("A reinstallation did not help: look at its hardware.")
    if restarts < settings.restarts:
        return NextStep(HealingState.RESTARTING)
    tried = f"{restarts} power cycles in {settings.window_hours} hours did not help."
    if settings.reinstall == "never":
        return needs_operator(tried)
    if settings.reinstall == "ask":
        return needs_operator(f"{tried} It can be reinstalled.", Consent.REINSTALL)
    for days, budget in ((1, settings.reinstalls_per_day), (7, settings.reinstalls_per_week)):
        if await actions.count(REINSTALL, now - timedelta(days=days)) >= budget:
            period = "day" if days == 1 else "week"
            return needs_operator(
                f"{tried} The budget of {budget} reinstallations per {period} is used up.", Consent.REINSTALL
            )
    return NextStep(HealingState.REINSTALLING)
