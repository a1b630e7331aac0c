"""Checks what answers over the network: the farm's Nomad and the provisioning API."""

from __future__ import annotations

from app.farm_choice import nomad_address
from app.machines_api import MachinesApi, machines_api
from farm.nomad.overview import overview
from policy import Principal
from soundstage.errors import SoundstageError, Unavailable
from soundstage.health import Check, amber, green, red
from soundstage.settings import Settings


async def examine_farm(settings: Settings) -> Check:
    """Asks Nomad for its nodes and their cards."""
    if settings.farm.scheduler != "nomad":
        return green("farm", "videos are made on this machine")
    try:
        found = await overview(nomad_address(settings))
    except SoundstageError as error:
        return red("farm", error.message, error.hint, error.code)
    ready = [node for node in found.nodes if node.state == "ready"]
    if not ready:
        return red("farm", f"none of {len(found.nodes)} nodes is ready", "soundstage nodes", "farm.no_nodes")
    # One that was drained before it was switched off is missed by nobody.
    down = [node.name for node in found.nodes if node.state == "down" and node.eligible]
    if down:
        fix = "`soundstage nodes` shows what ran there; look at their power and network."
        return amber("farm", f"nodes that are down: {', '.join(down)}", fix, "farm.node_down")
    failing = [
        f"{node.name} ({node.failed_checks})"
        for node in found.nodes
        if node.failed_checks and node.state != "down"
    ]
    if failing:
        fix = "On the node, `soundstage-health run` says what to do."
        return amber("farm", f"nodes whose own checks fail: {'; '.join(failing)}", fix, "farm.checks_fail")
    faulty = [f"{node.name} ({card.fault})" for node in found.nodes for card in node.cards if card.fault]
    if faulty:
        return amber("farm", f"faulty cards: {', '.join(faulty)}", "soundstage nodes", "farm.card_faulty")
    cards = sum(len(node.cards) for node in ready)
    return green("farm", f"{len(ready)} of {len(found.nodes)} nodes are ready, with {cards} cards")


async def examine_machines(settings: Settings) -> list[Check]:
    """Return none where no key is set: requests then come from the user of this machine."""
    if settings.provisioning.api_key_file is None:
        return []
    try:
        async with machines_api(settings, Principal.local_admin("soundstage")) as api:
            await api.require_delegation()
            waiting = await _machines_for_operator(api)
    except Unavailable as error:
        return [amber("machines", error.message, error.hint, error.code)]
    except SoundstageError as error:
        return [red("machines", error.message, error.hint, error.code)]
    if waiting:
        fix = "`soundstage machines show NAME` and `soundstage machines heal show NAME` say what happened."
        return [
            amber("machines", f"machines that need you: {', '.join(waiting)}", fix, "machines.need_operator")
        ]
    return [green("machines", "the provisioning API answers, and its key may act for people")]


async def _machines_for_operator(api: MachinesApi) -> list[str]:
    """Returns, with the reason, machines that failed and those that self-healing has given up."""
    failed = {one["name"]: one["cause"] for one in await api.get("/api/machines", state="failed")}
    healed = {
        one["machine"]: one["finding"]
        for one in await api.get("/api/healing")
        if one["state"] == "needs_operator"
    }
    return [f"{name} ({why})" if why else name for name, why in sorted((failed | healed).items())]
