"""Sends a simulated fleet to a running provisioning API: `scripts/bench fleet URL --ca FILE`.

Machines boot, enrol, fail and retry, the same for the same seed. They stay in the API's list, so name an
installation that is only for trying. With `--call-home FILE` they only call home, with the key in that file.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.simulated_fleet.fleet import Fleet, FleetResult, fleet_client
from bench.simulated_fleet.plan import plan_fleet


async def run(options: argparse.Namespace) -> FleetResult:
    """Runs all machines against the API to the end of each."""
    plans = plan_fleet(options.machines, options.seed, faulty=options.faulty, spread_s=options.spread_s)
    async with fleet_client(options.url, options.ca.read_text(encoding="ascii")) as client:
        fleet = Fleet(client)
        if options.call_home is not None:
            key = options.call_home.read_text(encoding="ascii").strip()
            return await fleet.call_home(plans, key, options.seed)
        return await fleet.run(plans, options.seed)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("url", help="the TLS port of a provisioning API")
    parser.add_argument("--ca", type=Path, required=True, help="its CA (`soundstage machines ca`)")
    parser.add_argument("--machines", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1, help="the same number gives the same fleet and faults")
    parser.add_argument("--faulty", type=float, default=0.2, help="share of machines with a fault, 0 to 1")
    parser.add_argument("--spread-s", type=float, default=5.0, help="they start within so many seconds")
    parser.add_argument("--call-home", type=Path, metavar="FILE", help="only call home, with this API key")
    print(asyncio.run(run(parser.parse_args())).model_dump_json(indent=1))
