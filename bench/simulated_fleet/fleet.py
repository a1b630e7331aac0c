"""Runs all simulated machines against one API and counts the outcomes; used by `scripts/bench fleet` and
tests.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import Counter
from collections.abc import Sequence

import httpx
from pydantic import BaseModel

from bench.simulated_fleet.machine import SimulatedMachine
from bench.simulated_fleet.plan import MachinePlan
from provisioning_api.rules.schemas import ANNOUNCED
from soundstage.http import open_client, tls_context

# Connections at the same time; a thousand machines share a switch, too.
CONNECTIONS = 64
TIMEOUT_S = 120.0


class FleetResult(BaseModel):
    """`ends`: how many machines came how far, and `ends_by_fault` the same for each fault; `p50_ms` and the
    others are of all calls together.
    """

    machines: int
    seed: int
    seconds: float
    calls: int
    statuses: dict[str, int]
    ends: dict[str, int]
    ends_by_fault: dict[str, dict[str, int]]
    faults: dict[str, int]
    p50_ms: float
    p99_ms: float
    slowest_ms: float


class Fleet:
    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self._seconds: list[float] = []
        self._statuses: Counter[str] = Counter()

    async def run(self, plans: Sequence[MachinePlan], seed: int = 0) -> FleetResult:
        """Runs all machines at once, to the end of each."""
        machines = [SimulatedMachine(plan, self._client, self._record) for plan in plans]
        started = time.perf_counter()
        await asyncio.gather(*(machine.run() for machine in machines))
        return self._result(
            plans, [machine.outcome for machine in machines], seed, time.perf_counter() - started
        )

    async def call_home(self, plans: Sequence[MachinePlan], token: str, seed: int = 0) -> FleetResult:
        """Every machine calls home once, as installed machines do at their first boot."""
        machines = [SimulatedMachine(plan, self._client, self._record) for plan in plans]

        async def call(machine: SimulatedMachine) -> None:
            await asyncio.sleep(machine.plan.starts_after_s)
            answer = await machine.call_home(token)
            machine.outcome = machine.outcome if answer is None else str(answer.json()["status"])

        started = time.perf_counter()
        await asyncio.gather(*(call(machine) for machine in machines))
        return self._result(
            plans, [machine.outcome for machine in machines], seed, time.perf_counter() - started
        )

    def _record(self, path: str, seconds: float, status: int) -> None:
        self._seconds.append(seconds)
        self._statuses[str(status)] += 1

    def _result(
        self, plans: Sequence[MachinePlan], ends: Sequence[str], seed: int, seconds: float
    ) -> FleetResult:
        slowest = sorted(self._seconds) or [0.0]

        def at(share: float) -> float:
            return round(slowest[min(len(slowest) - 1, int(share * len(slowest)))] * 1000, 1)

        return FleetResult(
            machines=len(plans),
            seed=seed,
            seconds=round(seconds, 2),
            calls=len(self._seconds),
            statuses=dict(sorted(self._statuses.items())),
            ends=dict(sorted(Counter(ends).items())),
            ends_by_fault=_by_fault(plans, ends),
            faults=dict(sorted(Counter(str(plan.fault) for plan in plans).items())),
            p50_ms=at(0.5),
            p99_ms=at(0.99),
            slowest_ms=at(1.0),
        )


async def announce_fleet(operator: httpx.AsyncClient, plans: Sequence[MachinePlan]) -> None:
    """Announces every machine by serial number and secret, and enables the shipped rule that accepts them."""
    for plan in plans:
        expected = {"serial": plan.serial, "secret": plan.secret}
        (await operator.post("/api/announcements", json=expected)).raise_for_status()
    (await operator.patch(f"/api/rules/{ANNOUNCED}", json={"enabled": True})).raise_for_status()


def _by_fault(plans: Sequence[MachinePlan], ends: Sequence[str]) -> dict[str, dict[str, int]]:
    found: dict[str, Counter[str]] = {}
    for plan, end in zip(plans, ends, strict=True):
        found.setdefault(str(plan.fault), Counter())[end] += 1
    return {fault: dict(sorted(counted.items())) for fault, counted in sorted(found.items())}


def fleet_client(url: str, ca_pem: str | None = None) -> httpx.AsyncClient:
    """Opens a client. `ca_pem`: trusts this authority alone, as a deploy agent does."""
    tls: ssl.SSLContext | bool = True
    if ca_pem is not None:
        tls = tls_context(ca_pem=ca_pem)
        tls.minimum_version = ssl.TLSVersion.TLSv1_3
    limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
    return open_client(url, limits=limits, tls=tls, timeout=httpx.Timeout(TIMEOUT_S, pool=None))
