"""`soundstage-health`: looks whether this node is well, and lets it take work only then.

`run` prints what the checks find and changes nothing. `gate` does that and tells Nomad; a timer calls it.
Only the standard library: it runs with the machine's own Python.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from checks import Outcome, load_checks, run_checks
from gate import Action, apply_findings, decide, in_words
from memory import Memory, alone, keep, recall
from metrics import write_metrics
from nomad_node import NomadAccess, NomadNode, NomadUnreachable
from problems import Problem

WELL, UNWELL, CANNOT = 0, 1, 2


def main() -> int:
    arguments = _arguments()
    try:
        config = json.loads(arguments.config.read_text(encoding="utf-8"))
        checks = load_checks(arguments.checks)
    except (OSError, ValueError) as error:
        print(f"health.misconfigured: {error} Converge the machine again.", file=sys.stderr)
        return CANNOT
    if arguments.verb == "gate":
        with alone(Path(config["memory_file"])):  # the timer and a run of the playbook may meet
            return _gate(arguments, config)
    if arguments.check:
        checks = [check for check in checks if check.name in arguments.check]
    outcomes = run_checks(checks, {}, time.time())
    if not arguments.check:
        _write_metrics(config, outcomes)
    problems = _problems(outcomes)
    if arguments.json:
        print(
            json.dumps(
                {"checks": [one.check for one in outcomes], "problems": [asdict(one) for one in problems]}
            )
        )
    else:
        print("\n".join(map(str, problems)) or f"{len(outcomes)} checks pass.")
    return UNWELL if problems else WELL


def _gate(arguments: argparse.Namespace, config: dict[str, Any]) -> int:
    """Look, remember, and tell Nomad. After a boot the node is held until it is known to be well."""
    passed = Path(config["passed_file"])  # on a tmpfs, so that a boot forgets it
    held = not passed.exists()
    max_failures = 1 if held else int(config["patience"])
    memory_file = Path(config["memory_file"])
    memory = recall(memory_file)
    try:
        node = _joined(config, arguments.wait_s)
        if held and node.state().eligible:
            # Written down first: whatever happens next, the drain is one that we may lift.
            memory = replace(memory, lifted="")
            keep(memory_file, memory)
            node.drain("not checked since the machine was started", 0)
        known = {} if held else memory.outcomes
        outcomes = run_checks(load_checks(arguments.checks), known, time.time())
        _write_metrics(config, outcomes)
        problems = _problems(outcomes)
        failures = memory.failures + 1 if problems else 0
        state = apply_findings(node.state(), lifted=memory.lifted)
        action = decide(state, well=not problems, failures=failures, max_failures=max_failures)
        memory = Memory({one.check: one for one in outcomes}, failures, memory.lifted)
        if action is Action.DRAIN:
            keep(memory_file, replace(memory, lifted=""))
            node.drain("; ".join(problem.message for problem in problems), int(config["drain_deadline_s"]))
        elif action is Action.ADMIT:
            node.admit()
            keep(memory_file, replace(memory, lifted=state.last_drain))
        else:
            keep(memory_file, memory)
        if not problems:
            passed.parent.mkdir(parents=True, exist_ok=True)
            passed.touch()
    except NomadUnreachable as error:
        print(f"health.nomad_unreachable: {error} Look at `systemctl status nomad`.", file=sys.stderr)
        return CANNOT
    for problem in problems:
        print(problem)
    print(in_words(action, state, well=not problems, failures=failures, max_failures=max_failures))
    return UNWELL if problems else WELL


def _joined(config: dict[str, Any], wait_s: float) -> NomadNode:
    """The node, once the agent answers for it."""
    access = NomadAccess(**{**config["nomad"], "client_dir": Path(config["nomad"]["client_dir"])})
    deadline = time.monotonic() + wait_s
    while True:
        try:
            node = NomadNode(access)
            node.state()
            return node
        except NomadUnreachable:
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.2)


def _write_metrics(config: dict[str, Any], outcomes: list[Outcome]) -> None:
    """A disk that is full must not keep the node from being looked at."""
    try:
        write_metrics(Path(config["metrics_file"]), outcomes)
    except OSError as error:
        print(f"health.no_metrics: {config['metrics_file']} cannot be written: {error}", file=sys.stderr)


def _problems(outcomes: list[Outcome]) -> list[Problem]:
    return [problem for outcome in outcomes for problem in outcome.problems]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="soundstage-health", description="Look whether this node is well.")
    parser.add_argument("--config", type=Path, default=Path("/etc/soundstage/health.json"))
    parser.add_argument("--checks", type=Path, default=Path("/etc/soundstage/checks.d"))
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    run = verbs.add_parser("run", help="print what the checks find; change nothing")
    run.add_argument("--json", action="store_true")
    run.add_argument("--check", action="append", default=[], help="only the check of this name")
    gate = verbs.add_parser("gate", help="let the node take work only while its checks pass")
    gate.add_argument("--wait-s", type=float, default=0.0, help="how long to wait for the Nomad agent")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
