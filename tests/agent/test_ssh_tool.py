"""Commands on machines by conversation: a real sshd, and the provisioning process that holds the keys."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from provisioning_house import Desk, House, desk, desk_settings, provisioning_house  # type: ignore[import-not-found]
from sentences import SentenceSnapshot
from sshd_server import INSTALL, PROGRAM, Sshd, machine_with_sshd  # type: ignore[import-not-found]

from agent.tools import ToolContext
from agent.tools.record import ToolResult
from agent.tools.toolset import prepare_call
from policy import Principal
from soundstage.errors import SoundstageError

pytestmark = pytest.mark.skipif(not PROGRAM.exists(), reason=INSTALL)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with provisioning_house(tmp_path_factory.mktemp("house")) as made:
        yield made


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with machine_with_sshd(tmp_path_factory.mktemp("machine") / "sshd") as made:
        yield made


@pytest.fixture
async def people(house: House, sshd: Sshd, tmp_path: Path) -> AsyncIterator[Desk]:
    """The machine cpu-1 is a member, and its sshd is up."""
    if "cpu-1" not in [one["name"] for one in house.call("GET", "/api/machines")]:
        got = await house.member("cpu-1", host_key=sshd.host_key)
        house.call("PATCH", "/api/machines/cpu-1", json={"ssh_port": sshd.port})
        sshd.trust(got["host_certificate"], got["user_ca"])
        sshd.start()
    settings = desk_settings(tmp_path, provisioning=house.server.access)
    async with desk(settings) as made:
        yield made


async def test_an_allowed_command_runs_at_once_and_its_words_are_shown(people: Desk, house: House) -> None:
    told = (await people.say("run uname on cpu-1", role="operator")).text
    assert told.startswith("cpu-1: `uname -a`:\nLinux ")
    last = house.call("GET", "/api/audit", params={"limit": 1000})[-1]
    assert (last["action"], last["data"]["argv"]) == ("command.ran", ["uname", "-a"])


async def test_a_question_is_a_command(people: Desk) -> None:
    told = (await people.say("how full are the disks on cpu-1?")).text
    assert told.startswith("cpu-1: `df -h`:\nFilesystem")


async def test_a_command_that_fails_says_with_which_code(people: Desk) -> None:
    told = (await people.say("run the command “systemctl status --no-pager no-such.service” on cpu-1")).text
    assert "on cpu-1 failed with code " in told


async def test_a_command_that_is_not_on_the_list_is_refused_with_the_list(people: Desk) -> None:
    failure = (await people.say("run the command “rm -rf /” on cpu-1")).failure
    assert (failure.code, failure.hint.splitlines()[0]) == ("ssh.not_allowed", "These may be run:")
    assert "df -h" in failure.hint and "journalctl --no-pager -n … -u …" in failure.hint
    shell = (await people.say("run the command “uptime; reboot” on cpu-1")).failure
    assert shell.code == "ssh.not_allowed"


async def test_a_quote_that_is_not_closed_is_no_fault_of_ours(people: Desk) -> None:
    failure = (await people.say("run the command “cat 'x” on cpu-1")).failure
    assert failure.code == "tool.bad_arguments"


async def test_whoever_may_only_look_at_videos_runs_nothing(people: Desk) -> None:
    failure = (await people.say("run uptime on cpu-1", "eve", "editor")).failure
    assert failure.code == "policy.forbidden"


async def test_a_machine_that_does_not_answer_is_named(people: Desk, house: House) -> None:
    await house.member("cpu-2")
    house.call("PATCH", "/api/machines/cpu-2", json={"ssh_port": 9})
    failure = (await people.say("run uptime on cpu-2")).failure
    assert failure.code.startswith("command.") and "cpu-2" in json.dumps(failure.message)


async def test_a_dry_run_says_what_would_run_and_runs_nothing(
    people: Desk, house: House, snapshot: SentenceSnapshot
) -> None:
    before = len(house.call("GET", "/api/audit", params={"limit": 1000}))
    told = await _dry(people, machine="cpu-1", command="df -h")
    assert told.sentence() == snapshot("dry_run")
    for machine, command, code in (
        ("cpu-1", "rm -rf /", "ssh.not_allowed"),
        ("cpu-9", "df -h", "machine.not_found"),
    ):
        with pytest.raises(SoundstageError) as refused:
            await _dry(people, machine=machine, command=command)
        assert refused.value.code == code
    newcomer = await house.newcomer()
    with pytest.raises(SoundstageError) as refused:
        await _dry(people, machine=newcomer.machine_id, command="df -h")
    assert refused.value.code == "command.not_a_member"
    house.forget_newcomers()
    kinds = [line["action"] for line in house.call("GET", "/api/audit", params={"limit": 1000})[before:]]
    assert not [kind for kind in kinds if kind.startswith("command.")]


async def _dry(people: Desk, **arguments: str) -> ToolResult:
    services = people.services
    context = ToolContext(Principal.local_admin(), "ses_1", services.tool_services, dry_run=True)
    return await services.brain.toolset.run(context, prepare_call(services.brain.toolset, "ssh", arguments))
