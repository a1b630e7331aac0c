"""Compiles a dossier: JSON in; persona, workflow and mock API out; called by the routes and the CLI."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Literal, cast

import yaml
from pydantic import ValidationError

from agent.dossiers.constructs import read_dossier
from agent.dossiers.mock_api import MockApi, Operation, mock_api_of, operation_of
from agent.dossiers.model import Binding, BindingKind, Dossier, Triplet
from agent.dossiers.problems import BadDossier, Problem
from agent.dossiers.reading import read_json
from agent.dossiers.safe_names import safe_names
from agent.dossiers.schemas import Compiled, Step, StepCall, Workflow
from soundstage.one_line import printable
from studio.personas.schemas import PERSONA_ID, Persona
from studio.slugs import slug_of

WRAPPED = "dossier_json"
"""The older system's requests hold the dossier under this name."""


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
        calls = [_call(one.kind, one.target, operation_of(api, one), one.retries) for one in bound]
        called = {call.operation for call in calls}
        for function_id in triplet.functions:
            operation = api.functions[function_id]
            if operation.id not in called:
                calls.append(_call("function", function_id, operation))
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


def _call(kind: BindingKind, target: str, operation: Operation, retries: int = 0) -> StepCall:
    return StepCall(
        kind=kind,
        target=target,
        operation=operation.id,
        method=operation.method.upper(),
        path=operation.path,
        retries=retries,
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


def compile_bytes(content: bytes, persona_id: str | None = None) -> Compiled:
    """Raises BadDossier with all that is wrong."""
    return compile_dossier(read_json(content), persona_id)


def compile_dossier(value: Any, persona_id: str | None = None) -> Compiled:
    """A dossier as JSON value, alone or as `{"dossier_json": …}`. The same dossier gives the same result.

    The persona may use no tools until a user grants some: a dossier comes from outside.
    """
    if isinstance(value, dict) and WRAPPED in value and "header" not in value:
        value = value[WRAPPED]
    dossier, warnings = read_dossier(value)
    if persona_id is not None and not re.fullmatch(PERSONA_ID, persona_id):
        message = f"{persona_id[:80]!r} is no id of a persona."
        raise BadDossier([Problem(pointer="", message=message, hint="Use a-z, 0-9 and -.")])
    persona = _persona(dossier, persona_id or slug_of(dossier.header.domain, "dossier")[:60].strip("-"))
    api = mock_api_of(dossier)
    workflow, more = workflow_of(dossier, persona.id, api)
    content = persona.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    return Compiled(
        agent_id=persona.id,
        agent_yaml=yaml.safe_dump(
            {**content, "tools": list(persona.tools)}, sort_keys=False, allow_unicode=True
        ),
        workflow=workflow,
        api=api.document,
        warnings=(*warnings, *more),
    )


def _persona(dossier: Dossier, persona_id: str) -> Persona:
    header = dossier.header
    acting = dict.fromkeys(triplet.role for triplet in dossier.triplets)
    roles = ", ".join(_line(dossier.roles[role].name) for role in acting)
    doing = "\n".join(
        f"- {triplet.description or f'{triplet.mode} {dossier.entities[triplet.entity].name}'}"
        for triplet in dossier.triplets[:20]
    )
    description = "\n".join(part for part in (header.description, doing) if part)
    try:
        return Persona(
            id=persona_id,
            name=_line(header.domain)[:80].strip() or persona_id,
            title=roles[:120].strip(),
            description=description[:4000],
            tools=(),
        )
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        message = f"It makes no persona: {'.'.join(map(str, first['loc']))}: {first['msg']}."
        raise BadDossier([Problem(pointer="/header", message=message)]) from error


def _line(text: str) -> str:
    """One line without control characters, as a persona's name must be."""
    return " ".join(printable(text).split())
