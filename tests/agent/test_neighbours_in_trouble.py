"""The provisioning API or Nomad answers nothing, or nonsense: one clear sentence and a typed error."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from loopback_http import CUT, Reply, Request, serving
from provisioning_house import Desk, desk, desk_settings

import app.machines_api
import farm.nomad.client
import farm.nomad.overview
from agent.events import Failure, Understood

GARBLED = Reply(200, b"no gzip", {"content-encoding": "gzip", "content-type": "application/json"})
HTML = Reply(200, b"<html>please log in</html>", {"content-type": "text/html"})
OF_MACHINES = {
    "which machines do we have?": "list_machines",
    "show the runs": "show_runs",
    "accept the new one": "change_machine",
    "run uptime on gpu-1": "ssh",
    "run the site playbook on gpu-1": "ansible",
    "try the site playbook on gpu-1": "ansible",
}
OF_THE_FARM = {
    "show the farm": "cluster_status",
    "drain cpu-1": "change_machine",
    "stop the job tts": "change_job",
    "show the log of the job tts": "job_logs",
}
ANSWERS = {
    "silent": "silent",
    "cut": CUT,
    "garbled": GARBLED,
    "a proxy's page": HTML,
    "a fault": Reply(500, b"\xff\xfe", {"content-type": "text/plain"}),
    "in circles": Reply(302, b"", {"location": "/v1/jobs"}),
    "something else": Reply.json({"of": "another program"}),
    "a list of something else": Reply.json([{"of": "another program"}, 7, None]),
    "nothing at all": Reply(200),
    "nested": Reply(200, b"[" * 100_000, {"content-type": "application/json"}),
}


@pytest.fixture(params=ANSWERS)
def answer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    for module in (app.machines_api, farm.nomad.client, farm.nomad.overview):
        monkeypatch.setattr(module, "TIMEOUT_S", 0.3)
    return ANSWERS[request.param]


async def given(answer: Any) -> Reply | None:
    if answer == "silent":
        await asyncio.sleep(60)
    reply: Reply | None = answer
    return reply


async def failed(people: Desk, sentence: str, tool: str) -> Failure:
    """How the tool failed that the sentence asks for."""
    answer = await people.say(sentence)
    assert [one.tool for one in answer.events if isinstance(one, Understood)] == [tool]
    return answer.failure


async def test_a_provisioning_api_in_trouble_is_named(tmp_path: Path, answer: Any) -> None:
    async def handler(_: Request) -> Reply | None:
        return await given(answer)

    async with serving(handler) as url:
        settings = desk_settings(tmp_path, provisioning={"api_url": url})
        async with desk(settings) as people:
            for sentence, tool in OF_MACHINES.items():
                failure = await failed(people, sentence, tool)
                assert failure.code.startswith("machines."), (sentence, failure)
                assert failure.hint


async def test_a_nomad_in_trouble_is_named(tmp_path: Path, answer: Any) -> None:
    async def handler(_: Request) -> Reply | None:
        return await given(answer)

    async with serving(handler) as url:
        settings = desk_settings(tmp_path, farm={"nomad": {"address": url}})
        async with desk(settings) as people:
            for sentence, tool in OF_THE_FARM.items():
                failure = await failed(people, sentence, tool)
                assert failure.code.startswith("nomad."), (sentence, failure)
                assert failure.message
                assert failure.hint, sentence
