"""Errors of requests for runs; what goes wrong during a run is a `Failure`."""

from __future__ import annotations

from soundstage.errors import Conflict, Invalid, NotFound


def run_not_found(run_id: str) -> NotFound:
    """No such run."""
    return NotFound("run.not_found", f"There is no run {run_id!r}.", "List them: `soundstage runs list`.")


def machines_missing(names: list[str]) -> NotFound:
    """A run is for machines that exist."""
    return NotFound(
        "run.machines_missing",
        f"There are no machines called {', '.join(names)}.",
        "Name machines, one by one; there are no patterns. `soundstage machines list`.",
    )


def machine_not_configurable(name: str, state: str) -> Conflict:
    """Only members can be configured."""
    return Conflict(
        "run.machine_not_ready",
        f"{name} is {state}, and cannot be configured.",
        "It must be enrolled first: `soundstage machines show NAME` tells what is missing.",
    )


def playbook_missing(playbook: str, folder: str) -> Invalid:
    """No such file in the project."""
    return Invalid(
        "run.playbook_missing", f"There is no {playbook} in {folder}.", "Check `provisioning.project_dir`."
    )


def playbook_broken(playbook: str, what: str) -> Conflict:
    """One of the project, that cannot be run as it is."""
    return Conflict(
        "run.playbook_broken",
        f"The playbook {playbook} is broken: {what}.",
        "Correct it: `ansible-playbook --syntax-check` says where.",
    )


def nothing_to_retry() -> Conflict:
    """Everything went well, or it is not over."""
    return Conflict(
        "run.nothing_to_retry",
        "No machine of this run failed, or it has not ended yet.",
        "Start a new run instead.",
    )
