"""Machines that report to a studio, are accepted and call home, for tests of the page."""

from __future__ import annotations

from typing import Any

import httpx
from playwright.sync_api import Page
from ramdisk import Ramdisk
from studio_page import Studio

from bench.simulated_fleet.fleet import fleet_client


async def report(
    studio: Studio, *machines: Ramdisk, neighbour: Ramdisk | None = None, member: Ramdisk | None = None
) -> None:
    """Each reports from its ramdisk; the neighbour as another one, and the member is enrolled, too."""
    async with operator_of(studio) as operator:
        authority = (await operator.get("/api/ca.pem")).text
        async with fleet_client(studio.provisioning_tls_url, authority) as client:
            for machine in (*machines, *([member] if member else [])):
                machine.client = client
                (await machine.discover()).raise_for_status()
            if neighbour is not None:
                neighbour.client = client
                assert (await neighbour.discover()).status_code == httpx.codes.CONFLICT
            if member is not None:
                accept = f"/api/machines/{member.machine_id}/accept"
                (await operator.post(accept, json={"code": member.code})).raise_for_status()
                (await member.enrol(await member.token())).raise_for_status()


async def call_home(studio: Studio, machine: Ramdisk) -> None:
    """Enrols an accepted machine, which then says that it is installed, as its first boot does."""
    async with operator_of(studio) as operator:
        authority = (await operator.get("/api/ca.pem")).text
    async with fleet_client(studio.provisioning_tls_url, authority) as client:
        machine.client = client
        membership = (await machine.enrol(await machine.token())).raise_for_status().json()
        answer = await client.post(
            "/api/ready-for-provisioning",
            json={"hostname": membership["name"], "ip": "127.0.0.1"},
            headers={"Authorization": f"Bearer {membership['call_home_token']}"},
        )
        answer.raise_for_status()


def operator_of(studio: Studio) -> httpx.AsyncClient:
    key = {"Authorization": f"Bearer {studio.key}"}
    return httpx.AsyncClient(base_url=studio.provisioning_url, timeout=60, trust_env=False, headers=key)


async def let_count(studio: Studio, machine: Ramdisk, code: str) -> None:
    async with operator_of(studio) as operator:
        path = f"/api/machines/{machine.machine_id}/key"
        (await operator.post(path, json={"code": code})).raise_for_status()


def machine_of(**options: Any) -> Ramdisk:
    return Ramdisk(None, **options)  # type: ignore[arg-type]


def row_of(page: Page, machine: Ramdisk) -> Any:
    return page.locator("tbody tr", has_text=machine.name)
