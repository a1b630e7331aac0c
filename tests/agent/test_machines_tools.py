"""Machines by conversation, with a real provisioning process, real rules and real approvals."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from provisioning_house import Desk, House, desk, desk_settings, provisioning_house  # type: ignore[import-not-found]
from sentences import SentenceSnapshot

from agent.tools import ToolContext
from agent.tools.toolset import prepare_call
from policy import Principal
from soundstage.errors import Conflict, Forbidden


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with provisioning_house(tmp_path_factory.mktemp("house")) as made:
        yield made


@pytest.fixture
async def people(house: House, tmp_path: Path) -> AsyncIterator[Desk]:
    house.forget_newcomers()
    settings = desk_settings(tmp_path, provisioning=house.server.access)
    async with desk(settings) as made:
        yield made


async def test_the_new_one_is_accepted_after_another_person_has_agreed(
    people: Desk, house: House, snapshot: SentenceSnapshot
) -> None:
    new = await house.newcomer()
    asked = await people.say("accept the new one as gpu-7")
    assert "This waits until one person agrees" in asked.text
    assert new.name in asked.text and "16 threads, 64 GiB, TU104 (8 GiB)" in asked.text
    assert "What is on its disk is lost when it is written: sda 480 GB" in asked.text
    waiting = await people.services.decisions.approvals.get(asked.approval_id, Principal.local_admin("eve"))
    assert [one.deletes for one in waiting.plan.changes] == [False, True], "its disk"
    assert house.machine(new.name)["state"] == "discovered"
    assert await people.agree(asked, "bob") == snapshot("accepted")
    machine = house.machine("gpu-7")
    assert (machine["id"], machine["state"]) == (new.machine_id, "accepted")


async def test_a_conflict_of_keys_is_shown_and_ended_by_one_sentence_that_names_the_code(
    people: Desk, house: House, snapshot: SentenceSnapshot
) -> None:
    first = await house.newcomer()
    anew = await house.newcomer(macs=first.macs, uuid=first.uuid, known=False)
    told = (await people.say("which machines are waiting?")).text
    assert f"reports with another key: {anew.code} since" in told and "from the same address" in told
    asked = await people.say(f"accept machine {first.name} with code {anew.code}")
    assert (await people.agree(asked, "bob")).startswith("failed: ")
    assert house.machine(first.name)["state"] == "discovered"
    asked = await people.say(f"the key {anew.code} counts for {first.name}")
    assert "This waits until one person agrees" in asked.text
    assert await people.agree(asked, "bob") == snapshot("key_counts", code=anew.code, name=first.name)
    asked = await people.say(f"accept machine {first.name} with code {anew.code}")
    assert (await people.agree(asked, "bob")).startswith("done: ")
    assert house.machine(first.name)["state"] == "accepted"


async def test_the_record_of_the_machines_names_the_person_and_not_only_the_agent(
    people: Desk, house: House
) -> None:
    await house.newcomer()
    answer = await people.say("accept the new one as n7", who="ada")
    assert (await people.agree(answer, "bob")).startswith("done")
    found = house.call("GET", "/api/audit", params={"limit": 1000})
    record = [one for one in found if one["action"] == "machine.accepted"][-1]
    assert record["data"]["name"] == "n7"
    assert record["data"]["on_behalf_of"] == {"id": "local:ada", "name": "ada"}
    house.forget_newcomers()


async def test_machines_are_listed_with_state_hardware_and_what_they_wait_for(
    people: Desk, house: House, snapshot: SentenceSnapshot
) -> None:
    await house.member("cpu-1")
    new = await house.newcomer()
    told = (await people.say("which machines do we have?")).text
    assert "machines: " in told and "1 discovered" in told
    (line,) = [line for line in told.splitlines() if new.name in line]
    assert "discovered" in line and "16 threads" in line and f"“accept {new.name}”" in line
    (line,) = [line for line in told.splitlines() if line.startswith("  cpu-1 ")]
    assert "enrolled" in line and "configured after its first start" in line
    only = (await people.say("which machines are waiting?")).text
    assert only.partition("\n")[0] == snapshot("waiting") and "cpu-1" not in only


async def test_one_machine_tells_why_it_waits(people: Desk, house: House, snapshot: SentenceSnapshot) -> None:
    new = await house.newcomer()
    told = (await people.say("why is the new one waiting?")).text
    code = house.machine(new.name)["code"]
    assert told.splitlines()[1] == snapshot("why_it_waits", name=new.name, code=code)


async def test_which_new_one_is_meant_is_asked_when_there_are_several(
    people: Desk, house: House, snapshot: SentenceSnapshot
) -> None:
    none = (await people.say("accept the new one")).failure
    assert (none.code, none.message) == ("machine.none_waits", snapshot("none_waits"))
    first, second = await house.newcomer(), await house.newcomer()
    several = (await people.say("accept the new one")).failure
    assert several.code == "machine.several_wait"
    assert first.name in several.message and second.name in several.message


async def test_a_name_that_nobody_has_is_answered_with_one_that_is_near(
    people: Desk, house: House, snapshot: SentenceSnapshot
) -> None:
    await house.member("studio-9")
    failure = (await people.say("retire studio-8")).failure
    assert (failure.code, failure.hint) == ("machine.not_found", snapshot("near_machine"))


async def test_a_newer_newcomer_voids_the_yes_to_the_new_one(people: Desk, house: House) -> None:
    first = await house.newcomer()
    asked = await people.say("accept the new one")
    second = await house.newcomer()
    assert (await people.agree(asked, "bob")).startswith("void: machine.several_wait")
    assert {house.machine(one.name)["state"] for one in (first, second)} == {"discovered"}


async def test_other_hardware_than_was_agreed_to_voids_the_yes(people: Desk, house: House) -> None:
    new = await house.newcomer()
    asked = await people.say(f"accept machine {new.name}")
    async with house.network() as client:
        new.client = client
        new.hardware = {**new.hardware, "disks": [{"name": "sda", "bytes": 8_000_000_000_000}]}
        await new.discover()
    assert (await people.agree(asked, "bob")).startswith("void: the plan has changed since")
    assert house.machine(new.name)["state"] == "discovered"


async def test_two_people_agree_before_a_machine_is_retired(
    people: Desk, house: House, snapshot: SentenceSnapshot
) -> None:
    await house.member("old-1")
    asked = await people.say("retire old-1")
    assert "This waits until 2 people agree" in asked.text
    assert "Wipe at its next network boot: sda (480 GB" in asked.text
    assert await people.agree(asked, "bob") == "pending: "
    assert house.machine("old-1")["state"] == "enrolled"
    done = await people.agree(asked, "cleo")
    assert done == snapshot("retired")
    assert house.machine("old-1")["state"] == "draining"
    last = house.call("GET", "/api/audit", params={"limit": 1000})[-1]
    assert last["data"]["reason"].startswith("asked for by ada, trace ")


async def test_two_people_agree_before_a_machine_is_written_anew(
    people: Desk, house: House, snapshot: SentenceSnapshot
) -> None:
    await house.member("old-2")
    asked = await people.say("reinstall old-2")
    assert "This waits until 2 people agree" in asked.text
    assert "Everything on its disks is lost: old-2 (" in asked.text
    done = await people.agree(asked, "bob", "cleo")
    assert done == snapshot("reinstalled")
    assert house.machine("old-2")["state"] == "accepted"


async def test_a_machine_at_work_is_not_accepted_by_one_person(
    people: Desk, house: House, snapshot: SentenceSnapshot
) -> None:
    await house.member("old-3")
    failure = (await people.say("accept old-3")).failure
    assert (failure.code, failure.hint) == ("machine.not_waiting", snapshot("not_waiting"))


async def test_without_the_right_nothing_is_asked_of_anybody(people: Desk, house: House) -> None:
    new = await house.newcomer()
    refused = (await people.say(f"accept machine {new.name}", "eve", "editor")).failure
    assert refused.code == "policy.forbidden"
    assert "machine:retire" in (await people.say("retire cpu-1", "oscar", "operator")).failure.message


async def test_without_a_farm_a_drain_says_so(people: Desk, snapshot: SentenceSnapshot) -> None:
    failure = (await people.say("drain cpu-1")).failure
    assert (failure.code, failure.hint) == (
        "cluster.not_configured",
        snapshot("no_farm"),
    )


async def test_a_provisioning_api_that_is_away_is_named(tmp_path: Path) -> None:
    settings = desk_settings(tmp_path, provisioning={"api_url": "http://127.0.0.1:9"})
    async with desk(settings) as people:
        failure = (await people.say("which machines do we have?")).failure
        assert failure.code == "machines.no_server" and "provisioning.api_url" in failure.hint


@contextmanager
def a_switch() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Somebody else's switch: its address, and what it was told."""
    told: list[dict[str, Any]] = []

    class Switch(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Switch)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", told
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def set_up_power(house: House, name: str, url: str) -> None:
    power = {"kind": "webhook", "url": url, "secret": "of-the-switch-0123456789"}
    house.call("PUT", f"/api/machines/{name}/power", json={"power": power})


async def test_a_machine_is_switched_on(people: Desk, house: House, snapshot: SentenceSnapshot) -> None:
    await house.member("dark-1")
    with a_switch() as (url, told):
        set_up_power(house, "dark-1", url)
        assert (await people.say("switch dark-1 on", "oscar", "operator")).text == snapshot("switched_on")
    assert told == [{"machine": "dark-1", "action": "on"}]
    found = house.call("GET", "/api/audit", params={"limit": 1000})[-1]
    assert found["action"] == "machine.power" and found["data"]["on_behalf_of"]["name"] == "oscar"


async def test_a_plan_to_switch_on_says_by_what_and_switches_nothing(people: Desk, house: House) -> None:
    await house.member("dark-2")
    with a_switch() as (url, told):
        set_up_power(house, "dark-2", url)
        arguments = {"action": "switch_on", "machine": "dark-2"}
        planned = await planned_call(people, arguments)
        assert "It is switched on by webhook: dark-2 (" in planned
        assert "disk" not in planned
        code = house.machine("dark-2")["code"]
        house.call("POST", "/api/machines/dark-2/accept", json={"code": code})
        assert "Its disk is written when it starts from the network" in await planned_call(people, arguments)
    assert told == []


async def test_switching_off_needs_a_yes_and_says_what_stops(
    people: Desk, house: House, snapshot: SentenceSnapshot
) -> None:
    await house.member("dark-6")
    with a_switch() as (url, told):
        set_up_power(house, "dark-6", url)
        asked = await people.say("switch dark-6 off", "oscar", "operator")
        assert "This waits until one person agrees" in asked.text
        assert "Its power is cut by webhook: nothing there is shut down before: dark-6 (" in asked.text
        assert told == []
        assert await people.agree(asked, "bob") == snapshot("switched_off")
    assert told == [{"machine": "dark-6", "action": "off"}]


async def test_wake_on_lan_is_not_asked_to_switch_off(people: Desk, house: House) -> None:
    await house.member("dark-7")
    house.call("PUT", "/api/machines/dark-7/power", json={"power": {"kind": "wol"}})
    with pytest.raises(Conflict, match="can only switch on"):
        await planned_call(people, {"action": "switch_off", "machine": "dark-7"})


async def planned_call(people: Desk, arguments: dict[str, Any]) -> str:
    toolset = people.services.brain.toolset
    principal = Principal("local:ada", "ada", "operator", "local")
    context = ToolContext(principal, "ses_1", people.services.tool_services, dry_run=True)
    result = await toolset.run(context, prepare_call(toolset, "change_machine", arguments))
    return result.sentence()


async def test_a_machine_that_nobody_can_switch_says_how_that_is_set_up(people: Desk, house: House) -> None:
    await house.member("dark-3")
    failure = (await people.say("turn on dark-3")).failure
    assert failure.code == "machine.no_switch" and "power-setup dark-3" in failure.hint


async def test_only_whoever_may_switch_and_what_is_there_is_switched_on(people: Desk, house: House) -> None:
    await house.member("dark-4")
    refused = (await people.say("switch dark-4 on", "eve", "editor")).failure
    assert refused.code == "policy.forbidden" and "machine:power" in refused.message
    assert (await people.say("switch dark-44 on")).failure.code == "machine.not_found"


async def test_machines_are_no_other_tenants_to_switch(people: Desk, house: House) -> None:
    await house.member("dark-5")
    toolset = people.services.brain.toolset
    elsewhere = Principal("key_eve", "eve", "admin", "key", tenant="acme")
    context = ToolContext(elsewhere, "ses_1", people.services.tool_services)
    call = prepare_call(toolset, "change_machine", {"action": "switch_on", "machine": "dark-5"})
    with pytest.raises(Forbidden, match="house"):
        await toolset.run(context, call)
