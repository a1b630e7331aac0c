"""The transfer routes inside the whole application, under its policy and its limits."""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.composition import Services, build
from app.migrating import migrate
from app.server.web import create_app
from farm.tasks import SegmentTask
from farm.transfer.orders import order_of
from policy import list_route_grants
from soundstage.errors import Unavailable
from soundstage.settings import Settings

LARGE = os.urandom(300_000)


def on_nomad(folder: Path, **http: Any) -> Settings:
    return Settings(
        state_dir=folder / "state", out_dir=folder / "out", http=http, farm={"scheduler": "nomad"}
    )


@pytest.fixture
async def services(tmp_path: Path) -> AsyncIterator[Services]:
    created = build(on_nomad(tmp_path, port=9))
    await migrate(created.database, tmp_path / "state")
    yield created
    await created.database.close()


@pytest.fixture
async def http(services: Services) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(services), client=("10.9.8.7", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://control") as client:
        yield client


async def test_a_worker_that_the_policy_does_not_know_brings_a_large_file_with_its_own_token(
    services: Services, http: httpx.AsyncClient
) -> None:
    spec = await services.blobs.put_bytes(b'{"scenes": []}')
    task = SegmentTask("a", "segment", spec.sha256, "one")
    order = await order_of(task, services.blobs, grace_s=1, upload_timeout_s=1)
    assert services.farm.transfer is not None
    token = await services.farm.transfer.issue(task, order, "job", 60)
    sha256 = "sha256:" + hashlib.sha256(LARGE).hexdigest()
    path = f"/api/farm/tasks/a/outputs/{sha256}"
    for request in (None, "Bearer wrong"):
        headers = {"Content-Type": "video/mp4", **({"Authorization": request} if request else {})}
        refused = await http.put(path, content=LARGE, headers=headers)
        assert refused.status_code == 401 and refused.headers["connection"] == "close"
        assert not await services.blobs.exists(sha256)
    headers = {"Content-Type": "video/mp4", "Authorization": f"Bearer {token}"}
    assert (await http.put(path, content=LARGE, headers=headers)).status_code == 204
    assert await services.blobs.read(sha256) == LARGE


async def test_a_task_token_opens_nothing_else_of_the_api(
    services: Services, http: httpx.AsyncClient
) -> None:
    spec = await services.blobs.put_bytes(b'{"scenes": []}')
    task = SegmentTask("a", "segment", spec.sha256, "one")
    order = await order_of(task, services.blobs, grace_s=1, upload_timeout_s=1)
    assert services.farm.transfer is not None
    token = await services.farm.transfer.issue(task, order, "job", 60)
    headers = {"Authorization": f"Bearer {token}"}
    plain = await http.get("/api/renders", headers=headers)
    assert (plain.status_code, plain.json()["code"]) == (403, "auth.needs_tls")
    over_tls = await http.get("https://control/api/renders", headers=headers)
    assert (over_tls.status_code, over_tls.json()["code"]) == (401, "auth.bad_key")


async def test_every_transfer_route_says_why_it_is_public(services: Services) -> None:
    grants = [
        grant
        for grant in list_route_grants(create_app(services))
        if grant.path.startswith("/api/farm/tasks/")
    ]
    assert len(grants) == 5
    assert all("token" in (grant.public_reason or "") for grant in grants)


async def test_without_nomad_there_are_no_transfer_routes(tmp_path: Path) -> None:
    services = build(Settings(state_dir=tmp_path / "state"))
    paths = {grant.path for grant in list_route_grants(create_app(services))}
    assert not any(path.startswith("/api/farm/tasks") for path in paths)
    await services.database.close()


@pytest.mark.parametrize("http", [{"host": "0.0.0.0"}, {"port": 0}])  # noqa: S104
def test_a_server_that_workers_could_not_find_says_what_to_set(tmp_path: Path, http: Any) -> None:
    with pytest.raises(Unavailable, match="No URL is set") as caught:
        build(on_nomad(tmp_path, **http))
    assert "farm.control_url" in caught.value.hint


async def test_a_command_without_a_server_says_that_workers_need_one(services: Services) -> None:
    with pytest.raises(Unavailable, match="no server answers"):
        await services.farm.check_server()
