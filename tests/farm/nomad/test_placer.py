"""Nodes that work failed on, by the events of Nomad."""

from __future__ import annotations

from typing import Any

from farm.needs import Needs
from farm.nomad.inventory import Eligible
from farm.nomad.placer import Placer
from farm.tasks import SegmentTask


def node(eligibility: str) -> dict[str, Any]:
    resources = {"Cpu": {"CpuShares": 4000}, "Memory": {"MemoryMB": 8192}}
    return {
        "ID": "n1",
        "Name": "cpu-1",
        "Status": "ready",
        "SchedulingEligibility": eligibility,
        "Drivers": {"exec": {"Detected": True, "Healthy": True}},
        "NodeResources": resources,
    }


def test_a_node_that_is_let_work_again_takes_work_at_once() -> None:
    for by_listing in (False, True):
        placer = Placer(Eligible("exec"), lambda task: None)
        placer.sync([node("eligible")], [], {})
        for _ in range(5):
            placer.record_failure("n1", "rig", "disk.full")
        task = SegmentTask("t1", "segment", needs=Needs(engine="rig"))
        placer.push(task)
        assert placer.admit(8) == []
        assert ". To place it: wait, or set cpu-1 aside and let it work again." in placer.why(task)
        placer.node_changed(node("eligible"))
        assert placer.admit(8) == [], "an event of a node that works says nothing of its disk"
        placer.node_changed(node("ineligible"))
        if by_listing:
            placer.sync([node("eligible")], [], {})
        else:
            assert not placer.node_changed(node("eligible"))
        assert [task_id for task_id, _ in placer.admit(8)] == ["t1"]
