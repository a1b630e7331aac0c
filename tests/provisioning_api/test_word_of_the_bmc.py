"""A machine joins without a person by a secret that its BMC was told; nobody else on the network can."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import client_of
from fastapi import FastAPI
from ramdisk import Ramdisk
from redfish_double import CHASSIS, PASSWORD, USER, Board, redfish_double
from test_attacks import refused

from provisioning_api.announcements import service
from provisioning_api.rules.schemas import ANNOUNCED


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    with redfish_double(tmp_path, Board("7FG2X13")) as created:
        yield created


def request(board: Board, **changed: Any) -> dict[str, Any]:
    access = {"url": board.url, "user": USER, "password": PASSWORD}
    return {
        "serial": board.serial,
        "bmc": {**access, "certificate_sha256": board.certificate_sha256, **changed.pop("bmc", {})},
        **changed,
    }


async def announce(operator: httpx.AsyncClient, board: Board, **changed: Any) -> httpx.Response:
    (await operator.patch(f"/api/rules/{ANNOUNCED}", json={"enabled": True})).raise_for_status()
    return await operator.post("/api/announcements/bmc", json=request(board, **changed))


async def started(board: Board, ramdisk: Ramdisk) -> str:
    """Return the state of the machine after its ramdisk has reported, with the asset tag as SMBIOS has it."""
    ramdisk.hardware, ramdisk.secret = {"serial": board.serial}, board.smbios_tag
    return str((await ramdisk.discover()).raise_for_status().json()["state"])


@pytest.mark.parametrize("place", ["system", "chassis"])
async def test_a_machine_whose_bmc_was_told_its_secret_joins_by_itself(
    operator: httpx.AsyncClient, ramdisk: Ramdisk, board: Board, place: str
) -> None:
    if place == "chassis":
        board.tag_place = CHASSIS
    board.power = "Off" if place == "system" else "On"
    answer = await announce(operator, board)
    assert answer.status_code == 201, answer.text
    assert board.boot == "Pxe" and board.resets == ["On" if place == "system" else "ForceRestart"]
    assert len(board.tag) == 24 and board.tag == board.smbios_tag
    assert await started(board, ramdisk) == "accepted"
    everywhere = answer.text + (await operator.get("/api/announcements")).text
    everywhere += (await operator.get("/api/audit", params={"limit": 1000})).text
    assert board.tag not in everywhere and PASSWORD not in everywhere


async def test_a_neighbour_with_serial_and_uuid_does_not_pass_for_a_machine_that_its_bmc_vouches_for(
    app: FastAPI, operator: httpx.AsyncClient, ramdisk: Ramdisk, board: Board
) -> None:
    before = board.tag
    await announce(operator, board)
    async with client_of(app, "https://provisioning.example", "10.0.0.66") as client:
        for guess in ("", before, "0" * 24):
            neighbour = Ramdisk(client, hardware={"serial": board.serial}, secret=guess)
            assert (await neighbour.discover()).json()["state"] == "discovered", guess
        # The very identity of the machine does not help, and does not hinder it either.
        twin = Ramdisk(client, hardware={"serial": board.serial}, secret=before)
        twin.macs, twin.uuid = ramdisk.macs, ramdisk.uuid
        assert (await twin.discover()).json()["state"] == "discovered"
        assert await started(board, ramdisk) == "accepted"
        assert (await ramdisk.claim()).json()["token"]
        refused(await twin.claim(), 401, "enrolment.bad_signature")


async def test_the_secret_of_a_bmc_is_worth_nothing_after_its_time(
    operator: httpx.AsyncClient, ramdisk: Ramdisk, board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "VALID_FOR", timedelta(seconds=-1))
    assert (await announce(operator, board)).status_code == 201
    assert await started(board, ramdisk) == "discovered"
    # Announced once more, with another secret, it joins at its next start.
    monkeypatch.undo()
    old = board.tag
    assert (await announce(operator, board, restart=False)).status_code == 201
    assert board.tag != old and board.smbios_tag == old
    assert await started(board, ramdisk) == "discovered"
    board.reset("ForceRestart")
    assert await started(board, ramdisk) == "accepted"


async def test_a_bmc_that_is_another_machines_or_does_as_it_likes_announces_nothing(
    operator: httpx.AsyncClient, board: Board
) -> None:
    refused(await announce(operator, board, serial="7FG2X14"), 409, "announcement.other_machine")
    assert board.tag == "rack-7" and not board.resets
    board.keeps = 10
    refused(await announce(operator, board), 502, "power.asset_tag_refused")
    board.tag_place = "nowhere"
    refused(await announce(operator, board), 502, "power.no_asset_tag")
    assert (await operator.get("/api/announcements")).json() == [] and not board.resets
    board.tag_place, board.keeps = CHASSIS, 64
    refused(await announce(operator, board, bmc={"password": "another"}), 502, "power.bmc_refuses")
    other = {"certificate_sha256": "0" * 64}
    refused(await announce(operator, board, bmc=other), 403, "power.other_certificate")
    plain = {"url": board.url.replace("https", "http")}
    refused(await announce(operator, board, bmc=plain), 422, "request.invalid")
    # One that a person announced for good is not replaced.
    stored = {"serial": board.serial, "secret": "chassis-asset-tag-4711"}
    (await operator.post("/api/announcements", json=stored)).raise_for_status()
    tag = board.tag
    refused(await announce(operator, board), 409, "announcement.exists")
    assert board.tag == tag and not board.resets
