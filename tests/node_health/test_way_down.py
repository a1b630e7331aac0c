"""A machine that goes down: its work moves first, and it works again afterwards. A real Nomad with ACLs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from secured_agent import SecuredAgent, run_secured_agent
from sentences import SentenceSnapshot
from waiting import eventually

PROGRAM = Path(__file__).resolve().parents[2] / "ansible" / "roles" / "nomad" / "files" / "way_down.py"


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredAgent]:
    with run_secured_agent(tmp_path_factory.mktemp("nomad") / "agent") as running:
        yield running


@pytest.fixture
def note(agent: SecuredAgent, tmp_path: Path) -> Iterator[Path]:
    """Returns the path of the program's note; afterwards the node works again."""
    yield tmp_path / "note"
    agent.put(f"/v1/node/{agent.node()['ID']}/drain", {"DrainSpec": None, "MarkEligible": True})
    agent.put(f"/v1/node/{agent.node()['ID']}/eligibility", {"Eligibility": "eligible"})


def go(direction: str, agent: SecuredAgent, note: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", str(PROGRAM), direction, "--note", str(note), "--address", agent.address]
    command += ["--client-dir", str(agent.data_dir / "client"), *more]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_work_moves_before_the_machine_goes_down_and_comes_back_after(
    agent: SecuredAgent, note: Path, snapshot: SentenceSnapshot
) -> None:
    task = {"Name": "sleeper", "Driver": "raw_exec", "Config": {"command": "/bin/sleep", "args": ["100000"]}}
    task["Resources"] = {"CPU": 20, "MemoryMB": 20}
    group = {"Name": "sleeper", "Count": 1, "Tasks": [task]}
    agent.put("/v1/jobs", {"Job": {"ID": "sleeper", "Datacenters": ["*"], "TaskGroups": [group]}})
    eventually(agent.running, "the work runs", 60)

    down = go("down", agent, note)
    assert (down.returncode, down.stdout.strip()) == (0, snapshot("drained")), down.stderr
    assert not agent.running()
    assert agent.node()["SchedulingEligibility"] == "ineligible"

    up = go("up", agent, note)
    assert (up.returncode, up.stdout.strip()) == (0, snapshot("undrained")), up.stderr
    assert agent.node()["SchedulingEligibility"] == "eligible"
    eventually(agent.running, "the work is back", 60)
    agent.delete("/v1/job/sleeper?purge=true")


def test_a_node_that_a_person_has_set_aside_stays_so_over_a_reboot(agent: SecuredAgent, note: Path) -> None:
    agent.put(f"/v1/node/{agent.node()['ID']}/eligibility", {"Eligibility": "ineligible"})
    assert go("down", agent, note).returncode == 0
    assert go("up", agent, note).returncode == 0
    assert agent.node()["SchedulingEligibility"] == "ineligible"


def test_a_drain_that_was_ordered_while_the_machine_was_down_stays(agent: SecuredAgent, note: Path) -> None:
    assert go("down", agent, note).returncode == 0
    spec = {"DrainSpec": {"Deadline": 60_000_000_000}, "Meta": {"message": "a new fan"}}
    agent.put(f"/v1/node/{agent.node()['ID']}/drain", spec)
    up = go("up", agent, note)
    assert (up.returncode, note.exists()) == (0, False), up.stderr
    assert agent.node()["SchedulingEligibility"] == "ineligible"


def test_what_was_said_about_a_drain_before_is_not_forgotten(agent: SecuredAgent, note: Path) -> None:
    spec = {"DrainSpec": {"Deadline": 60_000_000_000}, "Meta": {"message": "a new fan"}}
    agent.put(f"/v1/node/{agent.node()['ID']}/drain", spec)
    assert go("down", agent, note).returncode == 0
    assert go("up", agent, note).returncode == 0
    assert agent.node()["SchedulingEligibility"] == "ineligible"
    assert agent.node()["LastDrain"]["Meta"] == {"message": "a new fan"}


def test_a_nomad_that_does_not_answer_is_said(agent: SecuredAgent, note: Path) -> None:
    done = go("down", agent, note, "--address", "http://127.0.0.1:9")
    assert done.returncode == 1
    assert "nomad.way_down: http://127.0.0.1:9 does not answer" in done.stderr


def test_the_way_up_waits_for_an_agent_that_is_still_starting(agent: SecuredAgent, note: Path) -> None:
    assert go("down", agent, note).returncode == 0
    done = go("up", agent, note, "--address", "http://127.0.0.1:9", "--wait-s", "1")
    assert done.returncode == 1
    assert "nomad.way_up: After 1 s: http://127.0.0.1:9 does not answer" in done.stderr
    assert note.exists(), "the next try knows that the drain is ours"
    assert go("up", agent, note).returncode == 0
    assert agent.node()["SchedulingEligibility"] == "eligible"


def test_nothing_is_asked_of_nomad_on_a_way_up_without_a_drain(agent: SecuredAgent, note: Path) -> None:
    assert go("up", agent, note, "--address", "http://127.0.0.1:9").returncode == 0


@pytest.mark.parametrize(
    ("duration", "accepted"), [("90s", True), ("1h30m", True), ("10", False), ("soon", False)]
)
def test_durations_are_those_of_nomad(agent: SecuredAgent, note: Path, duration: str, accepted: bool) -> None:
    done = go("up", agent, note, "--deadline", duration)
    assert (done.returncode == 0) is accepted, done.stderr
