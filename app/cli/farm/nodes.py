"""`soundstage nodes`: the machines of the farm, their cards, and what runs there now."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from app.cli.connection import server_elsewhere
from app.cli.state import JsonFlag, invocation, output, run
from soundstage.errors import Conflict

if TYPE_CHECKING:
    from farm.nomad.overview import CardOverview


def register(cli: typer.Typer) -> None:
    @cli.command()
    def nodes(as_json: JsonFlag = False) -> None:
        """List the machines of the farm, as Nomad sees them."""
        called = invocation()
        printer, settings = output(as_json), called.settings()
        url = server_elsewhere(called)
        if url is not None and settings.farm.scheduler != "nomad":
            raise Conflict(
                "farm.nodes_elsewhere",
                f"This command asks the Nomad that the settings of this machine name, not {url}.",
                "Run it on the machine of that server, or set farm.scheduler and farm.nomad here.",
            )
        if url is not None:
            printer.note(f"These are the nodes of the Nomad in the settings of this machine, not of {url}.")
        if settings.farm.scheduler != "nomad":
            raise Conflict(
                "farm.no_nodes",
                "Videos are made on this machine alone.",
                "Set farm.scheduler to nomad when there is a cluster (docs/guide/nomad.md).",
            )
        from app.farm_choice import nomad_address
        from farm.nomad.overview import overview

        found = run(overview(nomad_address(settings)))
        rows = (
            [
                node.name,
                node.id[:8],
                node.state,
                node.pool,
                "; ".join(map(_card, node.cards)),
                len(node.jobs),
            ]
            for node in found.nodes
        )
        printer.listing(
            asdict(found), ["name", "id", "state", "pool", "cards", "runs"], rows, empty="There are no nodes."
        )


def _card(card: CardOverview) -> str:
    """`RTX 4090 24 GiB, free`, `RTX 3080 10 GiB, 7 of 9 shares taken`, `…, faulty: xid 79`."""
    if card.fault:
        state = f"faulty: {card.fault}"
    elif card.shares:
        state = f"{card.taken} of {card.shares} shares taken"
    else:
        state = "busy" if card.taken else "free"
    return f"{card.model} {card.memory_mib / 1024:.3g} GiB, {state}"
