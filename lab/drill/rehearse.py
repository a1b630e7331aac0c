"""Runs the exercises one after the other, and says for each what was seen and after how long."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

from lab.drill.exercises import EXERCISES, Exercise, Scene, boot_id
from lab.drill.farm_copy import FarmCopy
from lab.farm_in_a_box import Lab
from soundstage.errors import Invalid, Unavailable

# Much more than any takes on an idle computer; a drill that waits in vain says so.
TIMEOUT_S = 180.0
_TASK = "exec -a $NOMAD_JOB_ID-task sleep infinity"


@dataclass(frozen=True, slots=True)
class Outcome:
    """`noticed_s` and `whole_s`: seconds after the fault and after healing; None when waited for in vain."""

    exercise: str
    machine: str
    fault: str
    expected: str
    noticed_s: float | None
    whole_s: float | None
    why: str = ""

    @property
    def passed(self) -> bool:
        return self.noticed_s is not None and self.whole_s is not None


def select_exercises(names: Sequence[str]) -> tuple[Exercise, ...]:
    """Returns the named exercises in their own order; all when none is named."""
    unknown = [name for name in names if name not in {one.name for one in EXERCISES}]
    if unknown:
        raise Invalid(
            "lab.no_such_exercise",
            f"There is no exercise “{unknown[0]}”.",
            f"There are: {', '.join(one.name for one in EXERCISES)}.",
        )
    return tuple(one for one in EXERCISES if not names or one.name in names)


def rehearse(
    lab: Lab,
    farm: FarmCopy,
    exercises: Sequence[Exercise],
    *,
    say: Callable[[str], None],
    timeout_s: float = TIMEOUT_S,
) -> Generator[Outcome, None, None]:
    """Makes the lab, yields one outcome per exercise as it ends, and takes the lab down, whatever happens."""
    try:
        seconds = lab.up_cluster(farm.machines, say=say)
        say(f"A copy of the farm, {len(farm.machines)} machines, is ready after {seconds:.1f} s.")
        for exercise in exercises:
            machine = exercise.pick_machine(lab.plan)
            if machine is None:
                say(f"{exercise.name}: no machine of this farm fits; left out.")
                continue
            yield _one(exercise, lab, machine, timeout_s)
    finally:
        lab.down()


def _one(exercise: Exercise, lab: Lab, machine: str, timeout_s: float) -> Outcome:
    noticed_s = whole_s = None
    why = ""
    job = f"drill-{exercise.name}"
    tasks = _start_work(lab, job)
    scene = Scene(lab, lab.cluster(), machine, job, tasks, boot_id(lab, machine))
    # What was true before the fault proves nothing: the machine that fails must have work.
    clients = {one.name for one in lab.plan.machines if one.role == "client"}

    def has_work() -> bool:
        return scene.is_recovered() and (machine not in clients or machine in scene.count_tasks())

    scene.cluster.wait_for(has_work, "the farm to be at work before the exercise")
    try:
        scene.lab.inject_fault(scene.machine, exercise.fault)
        noticed_s = scene.cluster.wait_for(lambda: exercise.is_noticed(scene), exercise.expected, timeout_s)[
            1
        ]
    except Unavailable as missed:
        why = missed.message
    scene.lab.clear_fault(scene.machine)
    try:
        whole_s = scene.cluster.wait_for(
            lambda: exercise.is_recovered(scene), "the farm to recover", timeout_s
        )[1]
    except Unavailable as missed:
        why = why or missed.message
    return Outcome(exercise.name, scene.machine, exercise.fault, exercise.expected, noticed_s, whole_s, why)


def _start_work(lab: Lab, job_id: str) -> int:
    """One new task per client, spread over them; returns how many. After an exercise all may be on one
    machine."""
    clients = [one for one in lab.plan.machines if one.role == "client"]
    task = {
        "Name": "work",
        "Driver": "raw_exec",
        "Config": {"command": "/bin/bash", "args": ["-c", _TASK]},
        "Resources": {"CPU": 50, "MemoryMB": 32},
    }
    group = {
        "Name": "work",
        "Count": len(clients),
        "Tasks": [task],
        "Spreads": [{"Attribute": "${node.unique.id}", "Weight": 100}],
        "ReschedulePolicy": {
            "Unlimited": True,
            "Delay": 5 * 10**9,
            "DelayFunction": "constant",
            "MaxDelay": 0,
        },
    }
    job = {"ID": job_id, "Type": "service", "Datacenters": ["*"], "TaskGroups": [group]}
    cluster = lab.cluster()
    for old in cluster.nomad("GET", "/v1/jobs"):
        cluster.nomad("DELETE", f"/v1/job/{old['ID']}?purge=true")
    cluster.nomad("PUT", "/v1/jobs", {"Job": job})
    return len(clients)
