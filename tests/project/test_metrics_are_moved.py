"""Every declared metric is moved by a real action of some test, which reads it with `metric_values`."""

from __future__ import annotations

import re
from pathlib import Path

from avatar.spec.needs import EngineName

from agent.approvals.states import ApprovalState
from agent.triggers.states import TriggerState
from agent.voice.schemas import VoiceState
from farm.states import TERMINAL, TaskState
from farm.tasks import TaskKind
from policy.decisions.verdict import Verdict
from provisioning_api.healing.states import OPEN as HEALING_OPEN
from provisioning_api.machines.states import MachineState
from provisioning_api.runs.states import RunState
from soundstage.telemetry import metrics
from studio.publishing.states import PublicationState
from studio.renders.states import RenderState
from studio.webhooks.states import DeliveryState

BY_ROLES = {
    *("backup_last_success_timestamp_seconds", "node_problems", "node_check_timestamp_seconds"),
    "node_certificate_expires_timestamp_seconds",
}
"""Written by roles on machines; their tests in tests/ansible and tests/node_health read the files."""
TESTS = Path(__file__).parents[1]
READ = re.compile(r"""\b(?:metric_value|read_state|file_value)\(\s*(?:[\w.]+,\s*)?"([a-z_]+)\"""")


def test_each_metric_is_moved_by_a_test() -> None:
    read = {name for path in TESTS.rglob("test_*.py") for name in READ.findall(path.read_text())}
    names = {one.declaration.name for one in metrics.list_metrics()}
    assert names - read - BY_ROLES == set(), (
        "let a test of the action read it with `metric_value` or `read_state` (metric_values)"
    )
    assert read - names == set()


def test_the_values_of_labels_are_those_of_the_code() -> None:
    # The kernel imports no room, so it writes them down again.
    states = {
        metrics.RENDER_STATES: RenderState,
        metrics.APPROVAL_STATES: ApprovalState,
        metrics.PUBLICATION_STATES: PublicationState,
        metrics.MACHINE_STATES: MachineState,
        metrics.RUN_STATES: RunState,
        metrics.DELIVERIES.declaration.labels["state"]: DeliveryState,
        metrics.TRIGGERS.declaration.labels["state"]: TriggerState,
        metrics.POLICY_DECISIONS.declaration.labels["decision"]: Verdict,
        (*metrics.TASKS.declaration.labels["state"], *metrics.ENDS): TaskState,
    }
    for labels, code in states.items():
        assert set(labels) == {str(one) for one in code}
    assert set(metrics.HEALING_STATES) == {str(one) for one in HEALING_OPEN}
    assert set(metrics.ENDS) == {str(one) for one in TERMINAL}
    assert set(metrics.KINDS) == set(TaskKind.__args__)
    assert set(metrics.ENGINES) == {*EngineName.__args__, "mixed", "none"}
    assert metrics.VOICE_SESSIONS.declaration.labels["state"] == VoiceState.__args__
