"""A job file comes to Nomad once, again when it means something else, and says why it does not run. A real
Nomad with ACLs.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from deploying import DeployError, assignments, differs, planned, register, wait_until_well
from secured_agent import SecuredAgent, secured_agent

JOB = """
variable "seconds" { type = string }
variable "node" { default = "" }
variable "env" { type = map(string) }
job "sleeper" {
  type = "service"
  dynamic "constraint" {
    for_each = var.node == "" ? [] : [var.node]
    content {
      attribute = "${node.unique.name}"
      value = constraint.value
    }
  }
  update {
    min_healthy_time  = "1s"
    healthy_deadline  = "5s"
    progress_deadline = "10s"
  }
  group "one" {
    restart {
      attempts = 0
      mode = "fail"
    }
    reschedule {
      attempts = 0
      unlimited = false
    }
    task "sleep" {
      driver = "raw_exec"
      config {
        command = "/bin/sleep"
        args = [var.seconds]
      }
      env = var.env
      resources {
        cpu = 20
        memory = 16
      }
    }
  }
}
"""


class Posting:
    """The agent of the tests, as the door that the code knows."""

    def __init__(self, agent: SecuredAgent) -> None:
        self.get = agent.get
        self.put = agent.put

    def post(self, path: str, body: Any) -> Any:
        return self.put(path, body)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Posting]:
    with secured_agent(tmp_path_factory.mktemp("nomad") / "agent") as agent:
        yield Posting(agent)


def deploy(api: Posting, seconds: str, patience_s: float = 60, **more: Any) -> bool:
    """Whether the job was another one; it is well when this returns."""
    job, plan = planned(api, JOB, {"seconds": seconds, "env": {"TASK": "${NOMAD_TASK_NAME}"}, **more})
    if differs(plan):
        register(api, job, plan)
    wait_until_well(api, job, time.monotonic() + patience_s)
    return differs(plan)


def test_the_same_job_stays_and_another_one_takes_its_place(api: Posting) -> None:
    assert deploy(api, "1000")
    assert not deploy(api, "1000")
    assert deploy(api, "1001")
    assert api.get("/v1/job/sleeper")["Version"] == 1


def test_what_the_node_fills_in_is_left_to_the_node(api: Posting) -> None:
    assert assignments({"env": {"A": "${B}%{C}"}}) == 'env = {"A": "$${B}%%{C}"}'
    deploy(api, "1001")
    (task,) = api.get("/v1/job/sleeper")["TaskGroups"][0]["Tasks"]
    assert task["Env"] == {"TASK": "${NOMAD_TASK_NAME}"}


def test_a_task_that_ends_at_once_is_told_with_what_nomad_noted(api: Posting) -> None:
    with pytest.raises(DeployError, match=r"0 of 1 of the job sleeper .* sleep: .*Exit Code: 1"):
        deploy(api, "for ever", patience_s=30)


def test_a_job_that_fits_nowhere_is_told_with_the_reason(api: Posting) -> None:
    with pytest.raises(DeployError, match=r"no node for one: \$\{node.unique.name\} = nowhere \(1 nodes\)"):
        deploy(api, "1000", patience_s=3, node="nowhere")
