"""A job file comes to Nomad once, again when it means something else, and says why it does not run. A real
Nomad with ACLs.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from deploying import DeployError, assignments, differs, plan_job, register, wait_until_well
from last_words import MASK, last_words, mask_secrets
from secured_agent import SecuredAgent, run_secured_agent
from waiting import eventually

JOB = """
variable "command" { type = string }
variable "restarts" { default = 0 }
variable "node" { default = "" }
variable "env" { type = map(string) }
variable "healthy_within" { default = "60s" }
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
    healthy_deadline  = var.healthy_within
    progress_deadline = "120s"
  }
  group "one" {
    restart {
      attempts = var.restarts
      interval = "1m"
      delay = "1s"
      mode = var.restarts == 0 ? "fail" : "delay"
    }
    reschedule {
      attempts = 0
      unlimited = false
    }
    task "sleep" {
      driver = "raw_exec"
      config {
        command = "/bin/sh"
        args = ["-c", "exec ${var.command}"]
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
        self._agent = agent

    def post(self, path: str, body: Any) -> Any:
        return self.put(path, body)

    def plain(self, path: str) -> str:
        return self._agent.plain(path)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Posting]:
    with run_secured_agent(tmp_path_factory.mktemp("nomad") / "agent") as agent:
        yield Posting(agent)


def deploy(api: Posting, seconds: str, patience_s: float = 180, **more: Any) -> bool:
    """Returns whether the job was another one; it is healthy when this returns."""
    return run(api, f"sleep '{seconds}'", patience_s, **more)


def run(api: Posting, command: str, patience_s: float = 180, **more: Any) -> bool:
    job, plan = plan_job(api, JOB, {"command": command, "env": {"TASK": "${NOMAD_TASK_NAME}"}, **more})
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


CRASHES = (
    """sh -c 'echo "up since now, Authorization: Bearer $KEY" >&2; echo "no such settings: $KEY"; exit 70'"""
)
KEY = "the-key-that-nobody-may-see"
# The end of the deployment is what tells of a task that Nomad lets wait.
CRASHING: dict[str, Any] = {"restarts": 5, "env": {"KEY": KEY}, "healthy_within": "5s"}


def test_a_task_that_crashes_at_each_start_is_told_at_once_with_its_last_words(api: Posting) -> None:
    """It would be started anew for ever, five times and then again after a minute."""
    begun = time.monotonic()
    with pytest.raises(DeployError, match=r"sleep: .*Exit Code: 70") as refused:
        run(api, CRASHES, patience_s=200, **CRASHING)
    assert time.monotonic() - begun < 100
    assert refused.value.ended is not None
    words = last_words(api, *refused.value.ended, secrets=[f"{KEY}\n"])
    assert set(words.splitlines()) == {"up since now, Authorization: Bearer [masked]"}


def test_one_that_rests_after_many_crashes_is_told_at_once(api: Posting) -> None:
    """The same job again, while Nomad lets it wait."""
    path = "/v1/job/sleeper/allocations"
    eventually(lambda: "Exceeded" in str(api.get(path)), "Nomad to let it rest", 60)
    begun = time.monotonic()
    with pytest.raises(DeployError, match="Exceeded allowed attempts"):
        run(api, CRASHES, patience_s=200, **CRASHING)
    assert time.monotonic() - begun < 30


def test_one_that_crashes_once_or_twice_becomes_well(api: Posting) -> None:
    twice = "sh -c 'echo x >>$NOMAD_TASK_DIR/n; test $(wc -l <$NOMAD_TASK_DIR/n) -gt 2 && exec sleep 1000'"
    assert run(api, twice, patience_s=100, restarts=5)


@pytest.mark.parametrize(
    "line",
    [
        "GET https://me:hidden-word@host/ failed",
        'token="hidden-word" is wrong',
        "PASSWORD: hidden-word",
        f"key {'ab12' * 16} is unknown",
        "X-Nomad-Token 11111111-2222-3333-4444-555555555555",
        "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7",
    ],
)
def test_what_looks_like_a_secret_is_masked(line: str) -> None:
    key = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7\n"
    text = mask_secrets(line, [key])
    assert MASK in text
    assert not any(word in text for word in ("hidden-word", "ab12", "1111", "MIIE"))
