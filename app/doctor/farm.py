"""What the doctor says of the farm."""

from __future__ import annotations

from app.doctor.check import Check, amber, green, red
from app.farm_choice import nomad_address
from farm.nomad.overview import overview
from soundstage.errors import SoundstageError
from soundstage.settings import Settings


async def farm(settings: Settings) -> Check:
    if settings.farm.scheduler != "nomad":
        return green("farm", "videos are made on this machine")
    try:
        found = await overview(nomad_address(settings))
    except SoundstageError as error:
        return red("farm", error.message, error.hint)
    ready = [node for node in found.nodes if node.state == "ready"]
    if not ready:
        return red("farm", f"none of {len(found.nodes)} nodes is ready", "soundstage nodes")
    faulty = [f"{node.name} ({card.fault})" for node in found.nodes for card in node.cards if card.fault]
    if faulty:
        return amber("farm", f"faulty cards: {', '.join(faulty)}", "soundstage nodes")
    cards = sum(len(node.cards) for node in ready)
    return green("farm", f"{len(ready)} of {len(found.nodes)} nodes are ready, with {cards} cards")
