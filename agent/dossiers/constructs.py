"""JSON to a Dossier: every construct is read, every reference is followed, every fault is told."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar

from agent.dossiers.fields import Fields, Findings
from agent.dossiers.json_schema import schema_problems
from agent.dossiers.model import (
    METHODS,
    MODES,
    SPECIFICATION,
    STANCES,
    Binding,
    BindingKind,
    Dossier,
    Endpoint,
    Function,
    Header,
    Named,
    Triplet,
)
from agent.dossiers.problems import BadDossier, Problem

_HEADER = frozenset(
    (
        "dossierId", "domainName", "version", "author", "authors", "disSpecificationRef",
        "description", "lastModified", "versionDate", "deploymentEnvironment", "dossierType",
        "dossierStatus", "relatedDossierId", "comparisonId", "privacyManifestId",
        "valueEngineeringProfileId", "telemetryConfigurationId", "tags", "geographicScope",
        "industryVertical", "knowledgeDocumentIds",
    )
)  # fmt: skip
_DEFINITIONS = frozenset(
    (
        "entities", "modes", "roles", "applications", "endpoints", "knowledgeDocuments",
        "tagDefinitions", "agenticTriplets", "functionCatalogEntries", "functions",
        "entityModeMatrixEntries", "relationshipMatrixEntries", "accessGateMatrixEntries",
        "tripletFunctionMatrixEntries", "commonEnums", "capabilities", "validationRules",
        "telemetryConfiguration",
    )
)  # fmt: skip
_VERSION = re.compile(r"\d+\.\d+\.\d+(?:[-+][0-9A-Za-z.+-]+)?")
_KINDS: Mapping[str, BindingKind] = {
    "endpointExecutionBinding": "endpoint",
    "workflowExecutionBinding": "workflow",
    "scriptExecutionBinding": "script",
    "internalCodeExecutionBinding": "internal",
    "functionExecutionBinding": "function",
}
_DIRECT = ("functionId", "functionCatalogEntryId")
"""Some dossiers name the function beside the binding."""

Item = TypeVar("Item", Named, Function, Endpoint, Binding, Triplet)


def read_dossier(value: Any) -> tuple[Dossier, list[Problem]]:
    """The dossier and its warnings. Raises BadDossier with all its errors."""
    if not isinstance(value, dict):
        raise BadDossier([Problem(pointer="", message="A dossier is a JSON object with `header`.")])
    findings = Findings()
    root = Fields(value, "", findings)
    header = _header(root)
    definitions = root.object("dossierSpecificDefinitions", required=True) or Fields({}, "", findings)
    definitions.unknown(_DEFINITIONS)
    referenced = root.object("referencedConstructs")
    entities = _named(definitions, referenced, "entities", "entity")
    roles = _named(definitions, referenced, "roles", "role")
    functions = _by_id(
        [_function(one) for one in definitions.objects("functionCatalogEntries", "functions")], findings
    )
    endpoints = _by_id([_endpoint(one) for one in definitions.objects("endpoints")], findings)
    bindings = _by_id(
        [_binding(one, functions, endpoints) for one in definitions.objects("tripletFunctionMatrixEntries")],
        findings,
    )
    triplets = _by_id(
        [
            _triplet(one, entities, roles, bindings, functions)
            for one in definitions.objects("agenticTriplets")
        ],
        findings,
    )
    for binding in bindings.values():
        if binding.triplet is not None and binding.triplet not in triplets:
            message = f"There is no agentic triplet {binding.triplet[:80]!r}."
            findings.error(binding.pointer + "/tripletId", message)
    if not triplets and not findings.errors:
        findings.warn("/dossierSpecificDefinitions", "Without agenticTriplets the workflow has no step.")
    if findings.errors:
        raise BadDossier(findings.errors)
    return Dossier(
        header=header,
        entities=entities,
        roles=roles,
        functions=functions,
        endpoints=endpoints,
        bindings=bindings,
        triplets=tuple(triplets.values()),
    ), findings.warnings


def _header(root: Fields) -> Header:
    header = root.object("header", required=True)
    if header is None:
        return Header("", "", "")
    header.unknown(_HEADER)
    reference = header.text("disSpecificationRef", required=True)
    if reference and reference != SPECIFICATION:
        root.findings.error(
            header.at("disSpecificationRef"),
            f"This dossier follows DIS {reference[:20]}; {SPECIFICATION} is understood here.",
            "Migrate it first.",
        )
    version = header.text("version", required=True, limit=64)
    if version and not _VERSION.fullmatch(version):
        root.findings.error(header.at("version"), f"{version!r} is no version.", "Write it as 1.2.3.")
    return Header(
        dossier_id=header.text("dossierId", required=True, limit=200),
        domain=header.text("domainName", required=True, limit=200),
        version=version,
        description=header.text("description"),
        author=header.text("author", limit=200) or ", ".join(header.texts("authors")[:5]),
    )


def _named(definitions: Fields, referenced: Fields | None, plural: str, singular: str) -> Mapping[str, Named]:
    found = [
        Named(
            id=one.text(f"{singular}Id", required=True, limit=200),
            name=one.text("name", f"{singular}Name", required=True, limit=200),
            description=one.text("description"),
            pointer=one.pointer,
        )
        for one in definitions.objects(plural)
    ]
    known = _by_id(found, definitions.findings)
    # Constructs that another dossier defines are only named here, by their ids.
    borrowed = referenced.texts(plural) if referenced is not None else ()
    return {**{one: Named(one, one) for one in borrowed}, **known}


def _function(one: Fields) -> Function:
    schemas: list[Mapping[str, Any]] = []
    for name in ("inputSchema", "outputSchema"):
        schema = one.object(name)
        schemas.append(schema.values if schema is not None else {})
        if schema is not None:
            for problem in schema_problems(schema.values, schema.pointer):
                one.findings.errors.append(problem)
    function = Function(
        id=one.text("functionId", required=True, limit=200),
        name=one.text("name", "functionName", required=True, limit=200),
        description=one.text("description"),
        kind=one.text("functionType", limit=80) or "function",
        input=schemas[0],
        output=schemas[1],
        pointer=one.pointer,
    )
    if one.values.get("deprecated") is True:
        instead = one.text("replacedBy", limit=200)
        one.findings.warn(
            one.at("deprecated"),
            f"The function {function.name!r} is deprecated.",
            f"Bind {instead!r} instead." if instead else "",
        )
    return function


def _endpoint(one: Fields) -> Endpoint:
    return Endpoint(
        id=one.text("endpointId", required=True, limit=200),
        name=one.text("name", "endpointName", required=True, limit=200),
        description=one.text("description"),
        method=one.choice(METHODS, "httpMethod", default="POST"),
        pointer=one.pointer,
    )


def _binding(one: Fields, functions: Mapping[str, Function], endpoints: Mapping[str, Endpoint]) -> Binding:
    entry_id = one.text("tripletFunctionId", "bindingId", "entryId", required=True, limit=200)
    kind, target = _execution(one, functions, endpoints)
    handling = one.object("errorHandling")
    retries = handling.number("maxRetries", minimum=0, maximum=20, default=0) if handling is not None else 0
    return Binding(
        id=entry_id,
        kind=kind,
        target=target or entry_id,
        triplet=one.text("tripletId", limit=200) or None,
        description=one.text("description", "contextDescription"),
        retries=retries,
        pointer=one.pointer,
    )


def _execution(
    one: Fields, functions: Mapping[str, Function], endpoints: Mapping[str, Endpoint]
) -> tuple[BindingKind, str]:
    """Returns what is run: its kind, and the id of it."""
    direct = one.find_name(*_DIRECT)
    execution = one.object("executionBinding", required=direct is None)
    if execution is None:
        target = _reference(one, functions, "function", *_DIRECT) if direct is not None else ""
        return "function", target
    chosen = [name for name in _KINDS if execution.values.get(name) is not None]
    unknown = [name for name in execution.values if name not in _KINDS]
    for name in unknown:
        one.findings.error(
            execution.at(name), "There is no such kind of binding.", f"There are: {', '.join(_KINDS)}."
        )
    if len(chosen) != 1:
        if not unknown:
            message = f"Exactly one kind of binding is needed; there are {len(chosen)}."
            one.findings.error(execution.pointer, message, f"Choose one of: {', '.join(_KINDS)}.")
        return "internal", ""
    [name] = chosen
    kind = _KINDS[name]
    inner = execution.object(name)
    if inner is None:
        return kind, ""
    if direct is not None:
        return "function", _reference(one, functions, "function", *_DIRECT)
    if kind == "endpoint":
        target = _reference(inner, endpoints, "endpoint", "endpointId")
        # The method of the endpoint itself counts; this one is only looked over.
        inner.choice(METHODS, "httpMethod", default="POST")
        return kind, target
    if kind == "function" or inner.find_name("functionId") is not None:
        return "function", _reference(inner, functions, "function", "functionId")
    if kind == "script":
        inner.text("scriptContent", limit=100_000)
        one.findings.warn(
            inner.pointer,
            "A script in a dossier is never run here: the mock API answers in its place.",
            "Put it behind an endpoint.",
        )
    return kind, ""


def _triplet(
    one: Fields,
    entities: Mapping[str, Named],
    roles: Mapping[str, Named],
    bindings: Mapping[str, Binding],
    functions: Mapping[str, Function],
) -> Triplet:
    entry = None
    if one.find_name("tripletFunctionMatrixEntryId") is not None:
        entry = _reference(one, bindings, "TripletFunctionMatrixEntry", "tripletFunctionMatrixEntryId")
    associated = one.texts("associatedFunctionIds")
    for place, function_id in enumerate(associated):
        if function_id not in functions:
            pointer = f"{one.at('associatedFunctionIds')}/{place}"
            one.findings.error(pointer, f"There is no function {function_id[:80]!r}.")
    return Triplet(
        id=one.text("tripletId", required=True, limit=200),
        entity=_reference(one, entities, "entity", "entityId"),
        mode=one.choice(MODES, "modeId", "modeOfInteraction"),
        role=_reference(one, roles, "role", "roleId"),
        stance=one.choice(STANCES, "stance", default="ACT"),
        priority=one.number("priority", minimum=1, maximum=10, default=5),
        binding=entry,
        functions=associated,
        conditions=one.texts("conditions", "gateCondition"),
        description=one.text("description", "narrative"),
        pointer=one.pointer,
    )


def _reference(one: Fields, known: Mapping[str, object], what: str, *names: str) -> str:
    """An id that must be among `known`."""
    target = one.text(*names, required=True, limit=200)
    if target and target not in known:
        name = one.find_name(*names) or names[0]
        there = ", ".join(sorted(known)[:5]) or "none"
        one.findings.error(one.at(name), f"There is no {what} {target[:80]!r}.", f"There are: {there}.")
    return target


def _by_id(found: list[Item], findings: Findings) -> dict[str, Item]:
    known: dict[str, Item] = {}
    for item in found:
        if item.id and item.id in known:
            findings.error(item.pointer, f"The id {item.id[:80]!r} is taken by one before it.", "Ids differ.")
        elif item.id:
            known[item.id] = item
    return known
