"""Machines by conversation, with a real provisioning process, real rules and real approvals."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from provisioning_house import Desk, House, desk, desk_settings, provisioning_house  # type: ignore[import-not-found]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with provisioning_house(tmp_path_factory.mktemp("house")) as made:
        yield made


@pytest.fixture
async def people(house: House, tmp_path: Path, migrated: Path) -> AsyncIterator[Desk]:
    house.forget_newcomers()
    settings = desk_settings(tmp_path, migrated, provisioning={"api_url": house.server.url})
    async with desk(settings) as made:
        yield made


async def test_the_new_one_is_accepted_after_another_person_has_agreed(people: Desk, house: House) -> None:
    new = await house.newcomer()
    asked = await people.say("accept the new one as gpu-7")
    assert "This waits until one person agrees" in asked.text
    assert new.name in asked.text and "16 threads, 64 GiB, TU104 (8 GiB)" in asked.text
    assert "What is on its disk is lost when it is written: sda 480 GB" in asked.text
    assert house.machine(new.name)["state"] == "discovered"
    assert (await people.agree(asked, "bob")).startswith("done: gpu-7 is accepted.")
    machine = house.machine("gpu-7")
    assert (machine["id"], machine["state"]) == (new.machine_id, "accepted")


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
    people: Desk, house: House
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
    assert only.startswith("1 machine: 1 discovered.") and "cpu-1" not in only


async def test_one_machine_tells_why_it_waits(people: Desk, house: House) -> None:
    new = await house.newcomer()
    told = (await people.say("why is the new one waiting?")).text
    assert f"It waits for somebody to say “accept {new.name}”." in told
    code = house.machine(new.name)["code"]
    assert f"Its console shows {code}" in told


async def test_which_new_one_is_meant_is_asked_when_there_are_several(people: Desk, house: House) -> None:
    none = (await people.say("accept the new one")).failure
    assert (none.code, none.message) == ("machine.none_waits", "No machine waits for a yes.")
    first, second = await house.newcomer(), await house.newcomer()
    several = (await people.say("accept the new one")).failure
    assert several.code == "machine.several_wait"
    assert first.name in several.message and second.name in several.message


async def test_a_name_that_nobody_has_is_answered_with_one_that_is_near(people: Desk, house: House) -> None:
    await house.member("studio-9")
    failure = (await people.say("retire studio-8")).failure
    assert (failure.code, failure.hint) == ("machine.not_found", "Did you mean studio-9?")


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


async def test_two_people_agree_before_a_machine_is_retired(people: Desk, house: House) -> None:
    await house.member("old-1")
    asked = await people.say("retire old-1")
    assert "This waits until 2 people agree" in asked.text
    assert "Wipe at its next network boot: sda (480 GB" in asked.text
    assert await people.agree(asked, "bob") == "pending: "
    assert house.machine("old-1")["state"] == "enrolled"
    done = await people.agree(asked, "cleo")
    assert done.startswith("done: old-1 is out of service. Its disks are wiped at its next start")
    assert house.machine("old-1")["state"] == "draining"
    last = house.call("GET", "/api/audit", params={"limit": 1000})[-1]
    assert last["data"]["reason"].startswith("asked for by ada, trace ")


async def test_two_people_agree_before_a_machine_is_written_anew(people: Desk, house: House) -> None:
    await house.member("old-2")
    asked = await people.say("reinstall old-2")
    assert "This waits until 2 people agree" in asked.text
    assert "Everything on its disks is lost: old-2 (" in asked.text
    done = await people.agree(asked, "bob", "cleo")
    assert done == "done: old-2 is written anew at its next start from the network."
    assert house.machine("old-2")["state"] == "accepted"


async def test_a_machine_at_work_is_not_accepted_by_one_person(people: Desk, house: House) -> None:
    await house.member("old-3")
    failure = (await people.say("accept old-3")).failure
    assert (failure.code, failure.hint) == ("machine.not_waiting", "“Reinstall old-3” writes it anew.")


async def test_without_the_right_nothing_is_asked_of_anybody(people: Desk, house: House) -> None:
    new = await house.newcomer()
    refused = (await people.say(f"accept machine {new.name}", "eve", "editor")).failure
    assert refused.code == "policy.forbidden"
    assert "machine:retire" in (await people.say("retire cpu-1", "oscar", "operator")).failure.message


async def test_without_a_farm_a_drain_says_so(people: Desk) -> None:
    failure = (await people.say("drain cpu-1")).failure
    assert (failure.code, failure.hint) == (
        "cluster.not_configured",
        "Set farm.nomad.address to the URL of its servers.",
    )


async def test_a_provisioning_api_that_is_away_is_named(tmp_path: Path, migrated: Path) -> None:
    settings = desk_settings(tmp_path, migrated, provisioning={"api_url": "http://127.0.0.1:9"})
    async with desk(settings) as people:
        failure = (await people.say("which machines do we have?")).failure
        assert failure.code == "machines.no_server" and "provisioning.api_url" in failure.hint
