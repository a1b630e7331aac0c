"""The farm's own token: when it has expired, work waits and says so, and goes on with the next one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from nomad_cluster import NomadAgent

from farm.nomad import NomadAddress, NomadClient, NomadScheduler
from farm.nomad.event_stream import until_reachable
from soundstage.errors import Forbidden, Invalid

pytestmark = pytest.mark.root

UNKNOWN = "00000000-0000-4000-8000-000000000000"
"""Nomad's answer to a token that has expired is the one to a token it never knew."""


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NomadAddress]:
    """A server with ACLs and no node; the address carries a token that may do everything."""
    folder = tmp_path_factory.mktemp("tokens")
    config = {"server": {"enabled": True, "bootstrap_expect": 1}, "acl": {"enabled": True}}
    server = NomadAgent("server", folder / "server", config)
    server.start()
    try:
        path = folder / "token"
        path.write_text(server.put("/v1/acl/bootstrap", {})["SecretID"])
        yield NomadAddress(server.address, token_file=path)
    finally:
        server.stop()


async def test_with_an_expired_token_work_waits_and_goes_on_with_the_next_one(
    guarded: NomadAddress, control: Any, make_task: Any, nomad_options: Any, tmp_path: Path
) -> None:
    assert guarded.token_file is not None
    token = tmp_path / "token"
    token.write_text(UNKNOWN)
    client = NomadClient(replace(guarded, token_file=token))
    scheduler = NomadScheduler(client, control.blobs, control.transfer, nomad_options)
    await scheduler.start()
    await scheduler.submit(await make_task("a"))
    await wait_for_explanation(scheduler, "a", "waits: Nomad does not allow this")
    token.write_text(guarded.token_file.read_text())
    await wait_for_explanation(scheduler, "a", "there is no node yet")
    await scheduler.close()


async def wait_for_explanation(scheduler: Any, task_id: str, words: str) -> None:
    async with asyncio.timeout(60):
        while words not in await scheduler.explain(task_id):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.1)


async def test_a_registration_that_is_refused_is_tried_again_until_the_token_is_good() -> None:
    answers: list[Exception | None] = [Forbidden("nomad.forbidden", "No.", "Check the token."), None]
    received: list[str] = []

    async def step() -> None:
        if (answer := answers.pop(0)) is not None:
            raise answer

    await until_reachable(step, received.append)
    assert received == ["No.", ""]


async def test_a_job_that_nomad_does_not_accept_is_not_tried_again() -> None:
    async def step() -> None:
        raise Invalid("nomad.refused", "No.", "See there.")

    with pytest.raises(Invalid):
        await until_reachable(step, lambda text: None)
