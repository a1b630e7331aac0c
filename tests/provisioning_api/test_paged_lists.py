"""Runs and audit records page by a cursor, with a total."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from sqlalchemy import insert

from app.provisioning import ProvisioningProcess
from provisioning_api.runs.models import Run

pytestmark = pytest.mark.each_database

COUNT = 11


async def pages(client: httpx.AsyncClient, url: str, total: int) -> list[Any]:
    """Every row, by the links alone."""
    seen: list[Any] = []
    while True:
        answer = (await client.get(url)).raise_for_status()
        assert answer.headers["X-Total-Count"] == str(total)
        seen += answer.json()
        if "next" not in answer.links:
            return seen
        url = answer.links["next"]["url"]


async def test_runs_come_once_each_newest_first(
    operator: httpx.AsyncClient, process: ProvisioningProcess
) -> None:
    rows = [
        {"id": f"run_{number:026}", "state": "failed" if number % 2 else "succeeded", "playbook": "p.yaml",
         "reason": "test", "requested_by": "x"}
        for number in range(COUNT)
    ]  # fmt: skip
    async with process.database.transaction() as session:
        await session.execute(insert(Run), rows)
    seen = [int(run["id"][4:]) for run in await pages(operator, "/api/runs?limit=4", COUNT)]
    assert seen == list(reversed(range(COUNT)))
    failed = await pages(operator, "/api/runs?state=failed&limit=2", COUNT // 2)
    assert [int(run["id"][4:]) for run in failed] == [9, 7, 5, 3, 1]
    link = (await operator.get("/api/runs?limit=4")).links["next"]["url"]
    other = await operator.get(f"{link}&state=failed")
    assert (other.status_code, other.json()["code"]) == (422, "page.bad_cursor")


async def test_audit_records_page_both_ways(
    operator: httpx.AsyncClient, process: ProvisioningProcess
) -> None:
    async with process.database.transaction() as session:
        for number in range(COUNT):
            await process.services.audit.record(session, "x", f"test.{number}", "m1")
    total = len((await operator.get("/api/audit?limit=1000")).json())
    upwards = [one["number"] for one in await pages(operator, "/api/audit?limit=4", total)]
    downwards = [one["number"] for one in await pages(operator, "/api/audit?limit=4&sort=-number", total)]
    assert len(upwards) == total >= COUNT and upwards == sorted(upwards) == downwards[::-1]
    about = await pages(operator, "/api/audit?subject=m1&limit=4", COUNT)
    assert [one["action"] for one in about] == [f"test.{number}" for number in range(COUNT)]
    followed = await operator.get(f"/api/audit?after={upwards[1]}")
    assert followed.json()[0]["number"] == upwards[2] and "X-Total-Count" not in followed.headers
