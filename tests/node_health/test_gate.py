"""A node takes work or not: decided from findings, and reported to a real Nomad with ACLs."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gate import Action, NodeState, decide
from leftovers import clear_away
from nomad_cluster import NomadAgent
from nomad_node import NomadAccess, NomadNode, NomadUnreachable
from sentences import SentenceSnapshot
from waiting import eventually

PROGRAM = Path(__file__).resolve().parents[2] / "ansible" / "roles" / "health" / "files" / "health"

ELIGIBLE = NodeState(eligible=True, draining=False, ours=False)
DRAINED_BY_US = NodeState(eligible=False, draining=False, ours=True)
SET_ASIDE_BY_A_PERSON = NodeState(eligible=False, draining=False, ours=False)


@pytest.mark.parametrize(
    ("node", "well", "failures", "action"),
    [
        (ELIGIBLE, True, 0, Action.NOTHING),
        (ELIGIBLE, False, 1, Action.NOTHING),
        (ELIGIBLE, False, 2, Action.DRAIN),
        (DRAINED_BY_US, False, 3, Action.NOTHING),
        (DRAINED_BY_US, True, 0, Action.ADMIT),
        (SET_ASIDE_BY_A_PERSON, True, 0, Action.NOTHING),
        (SET_ASIDE_BY_A_PERSON, False, 5, Action.NOTHING),
    ],
)
def test_each_case_has_its_action(node: NodeState, well: bool, failures: int, action: Action) -> None:
    assert decide(node, well=well, failures=failures, max_failures=2) is action


class SecuredAgent(NomadAgent):
    """Server and client in one, with ACLs: only what a token allows is allowed."""

    token = ""

    def bootstrap(self) -> bool:
        """Returns whether it had a token for us; a first leader may have none yet."""
        try:
            self.token = super()._call("PUT", "/v1/acl/bootstrap")["SecretID"]
        except urllib.error.HTTPError:
            return False
        return True

    def node_id(self) -> str:
        return (self.data_dir / "client" / "client-id").read_text().strip()

    def node(self) -> dict[str, Any]:
        answer: dict[str, Any] = self._call("GET", f"/v1/node/{self.node_id()}")
        return answer

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"X-Nomad-Token": self.token}
        request = urllib.request.Request(self.address + path, data=data, method=method, headers=headers)
        with urllib.request.urlopen(request, timeout=20) as answer:
            text = answer.read()
        return json.loads(text) if text.strip() else None


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredAgent]:
    folder = tmp_path_factory.mktemp("nomad") / "agent"
    options = {"fingerprint.denylist": "env_aws,env_gce,env_azure,env_digitalocean,cni,consul,vault"}
    agent = SecuredAgent(
        "secured",
        folder,
        {
            "server": {"enabled": True, "bootstrap_expect": 1},
            "client": {"enabled": True, "options": options},
            "acl": {"enabled": True},
        },
    )
    agent.start()
    eventually(agent.bootstrap, "the ACL system", 60)
    eventually(lambda: [one for one in agent.get("/v1/nodes") if one["Status"] == "ready"], "the node", 60)
    yield agent
    agent.stop()
    clear_away(folder)


class Health:
    """`soundstage-health` of the node, with one check that passes while a file is there."""

    def __init__(self, agent: SecuredAgent, folder: Path) -> None:
        self.well = folder / "well"
        self.config = folder / "health.json"
        self.passed = folder / "run" / "passed"
        self.checks = folder / "checks.d"
        self.checks.mkdir()
        self.config.write_text(
            json.dumps(
                {
                    "nomad": {"address": agent.address, "client_dir": str(agent.data_dir / "client")},
                    "patience": 2,
                    "drain_deadline_s": 60,
                    "memory_file": str(folder / "memory.json"),
                    "metrics_file": str(folder / "metrics" / "checks.prom"),
                    "passed_file": str(self.passed),
                }
            )
        )
        problem = {"code": "card.dead", "message": "The card is dead.", "hint": "Replace it."}
        script = f"test -e {self.well} || echo '{json.dumps(problem)}'"
        (self.checks / "card.json").write_text(
            json.dumps({"name": "card", "command": ["/bin/sh", "-c", script]})
        )
        self.well.touch()

    def gate(self) -> subprocess.CompletedProcess[str]:
        command = [
            sys.executable,
            "-I",
            str(PROGRAM),
            "--config",
            str(self.config),
            "--checks",
            str(self.checks),
        ]
        return subprocess.run(
            [*command, "gate", "--wait-s", "30"], capture_output=True, text=True, timeout=120
        )


@pytest.fixture
def health(agent: SecuredAgent, tmp_path: Path) -> Iterator[Health]:
    yield Health(agent, tmp_path)
    agent.put(f"/v1/node/{agent.node_id()}/drain", {"DrainSpec": None, "MarkEligible": True})


def test_a_node_that_was_never_checked_is_held_until_it_is_well(
    agent: SecuredAgent, health: Health, snapshot: SentenceSnapshot
) -> None:
    health.well.unlink()
    first = health.gate()
    assert first.returncode == 1
    assert "card.dead: The card is dead. Replace it." in first.stdout
    assert agent.node()["SchedulingEligibility"] == "ineligible"
    health.well.touch()
    second = health.gate()
    assert (second.returncode, second.stdout.strip()) == (0, snapshot("all_pass"))
    assert agent.node()["SchedulingEligibility"] == "eligible"


def test_a_node_that_starts_failing_drains_itself_after_two_looks(
    agent: SecuredAgent, health: Health
) -> None:
    assert health.gate().returncode == 0
    health.well.unlink()
    assert "Checks failed 1 of 2 times" in health.gate().stdout
    assert agent.node()["SchedulingEligibility"] == "eligible"
    assert "Nomad moves it elsewhere" in health.gate().stdout
    node = agent.node()
    assert node["SchedulingEligibility"] == "ineligible"
    assert node["LastDrain"]["Meta"]["soundstage_health"] == "The card is dead."


def test_what_the_checks_find_is_written_for_node_exporter_where_there_is_one(
    agent: SecuredAgent, health: Health
) -> None:
    metrics = Path(json.loads(health.config.read_text())["metrics_file"])
    assert health.gate().returncode == 0
    assert not metrics.exists()
    metrics.parent.mkdir()
    health.well.unlink()
    health.gate()
    assert 'soundstage_node_problems{check="card",code="card.dead"} 1' in metrics.read_text().splitlines()
    health.well.touch()
    health.gate()
    text = metrics.read_text()
    assert "soundstage_node_problems{" not in text
    assert 'soundstage_node_check_timestamp_seconds{check="card"}' in text
    assert [path.name for path in metrics.parent.iterdir()] == [metrics.name]


def test_a_boot_forgets_that_the_node_was_well(agent: SecuredAgent, health: Health) -> None:
    assert health.gate().returncode == 0
    health.well.unlink()
    health.passed.unlink()  # what a tmpfs does
    assert health.gate().returncode == 1
    assert agent.node()["SchedulingEligibility"] == "ineligible"


def test_a_node_that_a_person_has_drained_stays_drained(agent: SecuredAgent, health: Health) -> None:
    assert health.gate().returncode == 0
    agent.put(f"/v1/node/{agent.node_id()}/drain", {"DrainSpec": {"Deadline": 0}})
    assert "a person has drained the node" in health.gate().stdout
    assert agent.node()["SchedulingEligibility"] == "ineligible"


def test_a_node_that_a_person_has_set_aside_after_a_drain_of_ours_stays_set_aside(
    agent: SecuredAgent, health: Health
) -> None:
    health.well.unlink()
    assert health.gate().returncode == 1
    health.well.touch()
    assert health.gate().returncode == 0
    agent.put(f"/v1/node/{agent.node_id()}/eligibility", {"Eligibility": "ineligible"})
    assert "set it aside" in health.gate().stdout
    assert agent.node()["SchedulingEligibility"] == "ineligible"


def test_the_nodes_own_secret_opens_nothing_but_the_node(agent: SecuredAgent) -> None:
    node = NomadNode(NomadAccess(agent.address, agent.data_dir / "client"))
    with pytest.raises(NomadUnreachable, match="403"):
        node._call("PUT", "/v1/node/00000000-0000-4000-8000-000000000000/drain", {"DrainSpec": {}})
    with pytest.raises(NomadUnreachable, match="403"):
        node._call("GET", "/v1/acl/tokens")


def test_an_agent_that_does_not_answer_is_said_and_changes_nothing(
    agent: SecuredAgent, health: Health
) -> None:
    config = json.loads(health.config.read_text())
    config["nomad"]["address"] = "http://127.0.0.1:9"
    health.config.write_text(json.dumps(config))
    command = [
        sys.executable,
        "-I",
        str(PROGRAM),
        "--config",
        str(health.config),
        "--checks",
        str(health.checks),
    ]
    done = subprocess.run([*command, "gate"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr.startswith("health.nomad_unreachable: http://127.0.0.1:9 does not answer")
    assert agent.node()["SchedulingEligibility"] == "eligible"
