"""Decides whether this node may take work, from what its checks found and what Nomad says about it.

The node drains itself, and takes its own drain back; it never lifts a drain that a person has ordered.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

OUR_MARK = "soundstage_health"  # key in the drain's metadata, by which we know our own


class Action(StrEnum):
    """The change for Nomad."""

    NOTHING = "nothing"
    DRAIN = "drain"
    ADMIT = "admit"


@dataclass(frozen=True)
class NodeState:
    """The state of this node in Nomad. `last_drain`: identifies its last drain; `ours`: that one
    was ordered by the node's own health."""

    eligible: bool
    draining: bool
    ours: bool
    last_drain: str = ""


def apply_findings(node: NodeState, *, lifted: str) -> NodeState:
    """The same with `ours` only where we may lift it. `lifted`: the last drain that we have lifted already:
    who set the node aside after it was a person."""
    return replace(node, ours=node.ours and not (lifted and node.last_drain == lifted))


def decide(node: NodeState, *, well: bool, failures: int, max_failures: int) -> Action:
    """`max_failures`: looks in a row that must fail before running work is moved away."""
    if well:
        return Action.ADMIT if node.ours and not node.eligible else Action.NOTHING
    if node.eligible and failures >= max_failures:
        return Action.DRAIN
    return Action.NOTHING


def in_words(action: Action, node: NodeState, *, well: bool, failures: int, max_failures: int) -> str:
    """One sentence for the log."""
    if action is Action.DRAIN:
        return "The node takes no more work: Nomad moves it elsewhere."
    if action is Action.ADMIT:
        return "All checks pass: the node takes work."
    if well:
        return (
            "All checks pass."
            if node.eligible
            else "All checks pass, but a person has drained the node or set it aside."
        )
    if not node.eligible:
        return "The node takes no work until its checks pass."
    return f"Checks failed {failures} of {max_failures} times in a row; then the node is drained."
