"""The page of playbooks/verify.yaml: silent on a healthy farm, with a name for each of ten faults at once."""

from __future__ import annotations

from typing import Any

from farm_report import Engines, Machine, page, problems
from sentences import SentenceSnapshot


def health(*found: str) -> dict[str, Any]:
    return {
        "checks": ["gpus", "machine", "worker"],
        "problems": [{"code": code, "message": f"About {code}.", "hint": "Do this."} for code in found],
    }


def node(name: str, **fields: Any) -> dict[str, Any]:
    card = {"ID": f"GPU-{name}", "Healthy": True, "HealthDescription": ""}
    plain = {
        "Name": name,
        "Address": "10.0.0.9",
        "Status": "ready",
        "SchedulingEligibility": "eligible",
        "NodeResources": {"Devices": [{"Instances": [card]}]},
    }
    return {**plain, **fields}


CONTROL = Machine("control", True, False, True, health())
GPU = Machine("gpu-1", False, True, True, health())
CPU = Machine("cpu-1", False, True, True, health())
ALL_ALIVE = {"control": "alive", "gpu-1": "alive", "cpu-1": "alive"}
HEALTHY = Engines([node("gpu-1"), node("cpu-1", NodeResources={})], 1, ALL_ALIVE)


def codes(machines: list[Machine], engines: Engines) -> list[tuple[str, str]]:
    return [(one.machine, one.code) for one in problems(machines, engines, 60)]


def test_a_healthy_farm_has_no_problem_and_one_short_page() -> None:
    machines = [CONTROL, GPU, CPU]
    assert problems(machines, HEALTHY, 60) == []
    lines = page("soundstage", machines, HEALTHY, [], "2026-11-20 12:00 UTC")
    assert lines == [
        "The farm soundstage, 3 machines, 2026-11-20 12:00 UTC",
        "",
        "  control  control  well         3 checks",
        "  gpu-1    worker   well         3 checks, eligible, 1 card",
        "  cpu-1    worker   well         3 checks, eligible",
        "",
        "Nothing is wrong.",
    ]


def test_ten_faults_have_ten_names(snapshot: SentenceSnapshot) -> None:
    broken_card = {"Instances": [{"ID": "GPU-gpu-1", "Healthy": False, "HealthDescription": "lost"}]}
    set_aside = {"SchedulingEligibility": "ineligible"}
    drained = {**set_aside, "LastDrain": {"Meta": {"soundstage_health": "The card is dead."}}}
    machines = [
        Machine(
            "control", True, False, True, health("backup.old", "machine.secret_open", "machine.timer_off")
        ),
        Machine("gpu-1", False, True, True, health("gpu.ecc", "machine.disk_full"), clock_off_s=3600),
        Machine("cpu-1", False, True, True, health("models.damaged", "worker.broken")),
        Machine("cpu-2", False, True, False),
    ]
    engines = Engines(
        [
            node("gpu-1", **drained, NodeResources={"Devices": [broken_card]}),
            node("cpu-1", **set_aside),
            node("cpu-2", Status="down"),
        ],
        1,
        {"control": "alive", "gpu-1": "failed", "cpu-1": "alive", "cpu-2": "failed"},
    )
    found = codes(machines, engines)
    assert found == [
        ("control", "backup.old"),
        ("control", "machine.secret_open"),
        ("control", "machine.timer_off"),
        ("gpu-1", "farm.clock_off"),
        ("gpu-1", "gpu.ecc"),
        ("gpu-1", "machine.disk_full"),
        ("gpu-1", "farm.node_set_aside"),
        ("gpu-1", "farm.card_faulty"),
        ("gpu-1", "farm.consul_member"),
        ("cpu-1", "models.damaged"),
        ("cpu-1", "worker.broken"),
        ("cpu-1", "farm.node_set_aside"),
        ("cpu-2", "farm.machine_silent"),
        ("cpu-2", "farm.node_down"),
    ]
    lines = "\n".join(page("soundstage", machines, engines, problems(machines, engines, 60), "now"))
    assert all(code in lines for _, code in found)
    assert lines == snapshot("problems")


def test_an_engine_that_is_silent_is_one_problem_and_not_one_per_machine() -> None:
    silent = Engines(silent={"nomad": "connection refused", "consul": "connection refused"})
    assert codes([CONTROL, GPU, CPU], silent) == [
        ("the farm", "farm.consul_silent"),
        ("the farm", "farm.nomad_silent"),
    ]


def test_a_machine_without_checks_and_a_node_nobody_knows_are_named() -> None:
    machines = [CONTROL, Machine("gpu-1", False, True, True)]
    engines = Engines([node("stranger")], 1, ALL_ALIVE)
    assert codes(machines, engines) == [
        ("the farm", "farm.unknown_node"),
        ("gpu-1", "farm.not_set_up"),
        ("gpu-1", "farm.node_missing"),
    ]


def test_a_server_that_is_not_healthy_is_missed() -> None:
    machines = [CONTROL, Machine("control-2", True, False, True, health()), GPU, CPU]
    engines = Engines(HEALTHY.nodes, 1, {**ALL_ALIVE, "control-2": "alive"})
    assert codes(machines, engines) == [("the farm", "farm.nomad_servers")]


def test_a_control_machine_that_works_too_has_to_be_a_node() -> None:
    both = Machine("control", True, True, True, health())
    engines = Engines([], 1, {"control": "alive"})
    assert [one.code for one in problems([both], engines, 1)] == ["farm.node_missing"]
    assert problems([CONTROL], engines, 1) == []
