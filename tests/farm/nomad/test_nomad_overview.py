"""What an operator sees of a real cluster, through python-nomad."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from farm.needs import Needs
from farm.nomad import NomadAddress
from farm.nomad.overview import overview
from farm.states import TaskState
from soundstage.errors import Unavailable

pytestmark = pytest.mark.root

CARD = {"uuid": "GPU-10101010-0000-4000-8000-00000000000a", "model": "RTX 3080", "memory_mib": 10240}


async def running(scheduler: Any, task_id: str) -> None:
    async with asyncio.timeout(120):
        async for event in scheduler.watch(task_id):
            if event.state is TaskState.RUNNING:
                return


async def test_nodes_cards_and_what_runs_there_are_seen(
    scheduler: Any, make_task: Any, cluster: Any, nomad_address: NomadAddress
) -> None:
    node = cluster.add_client("shown", [CARD], share_mib=1024, node_pool="gpu-shared")
    needs = Needs("lips", 1, 5 * 1024, 100, 128)
    await scheduler.submit(await make_task("seen", "!slow 60", needs=needs))
    await running(scheduler, "seen")
    found = await overview(nomad_address)
    assert ":" in found.leader
    (shown,) = [one for one in found.nodes if one.name == "shown"]
    assert (shown.state, shown.pool, shown.id) == ("ready", "gpu-shared", node.node_id)
    (card,) = shown.cards
    assert (card.model, card.memory_mib, card.fault) == ("RTX 3080", 10240, "")
    assert (card.taken, card.shares) == (5, 10)
    assert [name.endswith("-seen") for name in shown.jobs] == [True]


async def test_a_nomad_that_is_away_and_a_token_that_is_missing_are_named(
    nomad_address: NomadAddress, tmp_path: Path
) -> None:
    with pytest.raises(Unavailable, match="does not answer"):
        await overview(replace(nomad_address, url="http://127.0.0.1:9"))
    with pytest.raises(Unavailable, match="cannot be read"):
        await overview(replace(nomad_address, token_file=tmp_path / "none"))
