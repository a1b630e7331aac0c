"""Findings on nodes: one cause and one sentence each."""

from __future__ import annotations

from dataclasses import dataclass

from provisioning_api.engines.node_facts import HEALTH, NodeFacts
from provisioning_api.healing.states import Cause


@dataclass(frozen=True, slots=True)
class Finding:
    cause: Cause
    sentence: str


def find_failure(node: NodeFacts | None) -> Finding | None:
    """Returns None for a node that is well, that an operator has set aside, or that Nomad does not know."""
    if node is None or node.set_aside or (node.reserved and node.is_up):
        return None
    if not node.is_up:
        return Finding(Cause.SILENT, f"Nomad hears nothing of it: its node is {node.status}.")
    if node.bad_cards:
        return Finding(Cause.CARD, f"A card fails: {'; '.join(node.bad_cards)}.")
    if node.marks is not None and HEALTH in node.marks:
        return Finding(Cause.CHECKS, f"Its own checks do not pass: {node.marks[HEALTH]}")
    return None
