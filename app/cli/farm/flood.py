"""`soundstage lab flood`: a thousand simulated machines against the real provisioning API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli.state import JsonFlag, invocation, run


def register(group: typer.Typer) -> None:
    @group.command()
    def flood(
        context: typer.Context,
        url: Annotated[str, typer.Argument(help="The TLS port of a provisioning API to try.")],
        ca: Annotated[Path, typer.Option(help="Its CA certificate (`soundstage machines ca`).")],
        machines: Annotated[int, typer.Option(min=1, max=100_000, help="How many.")] = 1000,
        seed: Annotated[int, typer.Option(help="The same number gives the same fleet and faults.")] = 1,
        faulty: Annotated[float, typer.Option(min=0, max=1, help="Share of machines with a fault.")] = 0.2,
        spread_s: Annotated[float, typer.Option(min=0, help="They start within so many seconds.")] = 5.0,
        call_home: Annotated[
            Path | None, typer.Option(help="Only call home, with the API key in this file.")
        ] = None,
        as_json: JsonFlag = False,
    ) -> None:
        """Let simulated machines boot, enrol, fail and retry against a real API. They stay in its list."""
        from provisioning_api.flood.faults import plan_fleet
        from provisioning_api.flood.fleet import Fleet, FloodResult, fleet_client
        from soundstage.settings.sections import read_key_file

        printer = invocation(context).printer(as_json)

        async def work() -> FloodResult:
            plans = plan_fleet(machines, seed, faulty=faulty, spread_s=spread_s)
            async with fleet_client(url, ca.read_text(encoding="ascii")) as client:
                fleet = Fleet(client)
                if call_home is not None:
                    return await fleet.call_home(plans, read_key_file(call_home), seed)
                return await fleet.live(plans, seed)

        found = run(work())
        printer.listing(found, ["", ""], _rows("", found.model_dump()), empty="")


def _rows(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield one row per figure; the name of a nested one has those of all levels."""
    if not isinstance(value, dict):
        yield name, value
        return
    for key, inner in value.items():
        yield from _rows(f"{name} {key}".strip(), inner)
