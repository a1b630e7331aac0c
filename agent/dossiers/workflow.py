"""The workflow of a dossier: one step per agentic triplet, bound to operations of the mock API."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Literal, cast

from agent.dossiers.mock_api import MockApi, operation_of
from agent.dossiers.model import Binding, Dossier, Triplet
from agent.dossiers.problems import Problem
from agent.dossiers.safe_names import safe_names
from agent.dossiers.schemas import Step, StepCall, Workflow


def workflow_of(dossier: Dossier, persona_id: str, api: MockApi) -> tuple[Workflow, list[Problem]]:
    """Returns the steps by priority (10 first), equal ones in the order of the dossier, and warnings."""
    ordered = sorted(dossier.triplets, key=lambda one: -one.priority)
    names = safe_names(((one.id, one.id.removeprefix("tri-")) for one in ordered), "step")
    acting = [one for one in ordered if one.stance == "ACT"]
    following = {before.id: names[after.id] for before, after in pairwise(acting)}
    warnings = []
    steps = []
    for triplet in ordered:
        bound = _bindings(dossier, triplet)
        calls = [_call(api, binding) for binding in bound]
        called = {call.operation for call in calls}
        for function_id in triplet.functions:
            operation = api.functions[function_id]
            if operation.id not in called:
                calls.append(
                    StepCall(
                        kind="function",
                        target=function_id,
                        operation=operation.id,
                        method=operation.method.upper(),
                        path=operation.path,
                    )
                )
        if not calls:
            warnings.append(
                Problem(
                    pointer=triplet.pointer,
                    message="This triplet is bound to no function: its step only talks.",
                    hint="Add a tripletFunctionMatrixEntryId.",
                )
            )
        steps.append(_step(dossier, triplet, names, tuple(calls), following.get(triplet.id)))
    workflow = Workflow(
        persona=persona_id,
        dossier=dossier.header.dossier_id,
        dossier_version=dossier.header.version,
        start=names[acting[0].id] if acting else None,
        reacts=tuple(names[one.id] for one in ordered if one.stance == "REACT"),
        steps=tuple(steps),
    )
    used = {binding.id for triplet in dossier.triplets for binding in _bindings(dossier, triplet)}
    warnings += [
        Problem(pointer=binding.pointer, message="No triplet uses this binding.")
        for binding in dossier.bindings.values()
        if binding.id not in used
    ]
    return workflow, warnings


def _bindings(dossier: Dossier, triplet: Triplet) -> list[Binding]:
    """Returns the binding that the triplet names, then those that name the triplet."""
    own = [dossier.bindings[triplet.binding]] if triplet.binding else []
    return own + [one for one in dossier.bindings.values() if one.triplet == triplet.id and one not in own]


def _call(api: MockApi, binding: Binding) -> StepCall:
    operation = operation_of(api, binding)
    return StepCall(
        kind=binding.kind,
        target=binding.target,
        operation=operation.id,
        method=operation.method.upper(),
        path=operation.path,
        retries=binding.retries,
    )


def _step(
    dossier: Dossier,
    triplet: Triplet,
    names: Mapping[str, str],
    calls: tuple[StepCall, ...],
    following: str | None,
) -> Step:
    role, entity = dossier.roles[triplet.role].name, dossier.entities[triplet.entity].name
    return Step(
        id=names[triplet.id],
        says=triplet.description or f"{role}: {triplet.mode} {entity}.",
        role=role,
        mode=triplet.mode,
        entity=entity,
        stance=cast(Literal["ACT", "REACT"], triplet.stance),
        priority=triplet.priority,
        when=triplet.conditions,
        calls=calls,
        next=following,
    )
