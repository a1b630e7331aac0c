"""A dossier as the compiler knows it: the constructs of DIS 1.6 that become something here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

SPECIFICATION = "1.6.0"
MODES = ("CREATE", "READ", "UPDATE", "DELETE", "INITIATE", "RESPOND", "NOTIFY")
STANCES = ("ACT", "REACT")
METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD")

BindingKind = Literal["function", "endpoint", "workflow", "script", "internal"]


@dataclass(frozen=True, slots=True)
class Header:
    dossier_id: str
    domain: str
    version: str
    description: str = ""
    author: str = ""


@dataclass(frozen=True, slots=True)
class Named:
    """An entity or a role; one that another dossier defines has no place in this one."""

    id: str
    name: str
    description: str = ""
    pointer: str = ""


@dataclass(frozen=True, slots=True)
class Function:
    """A FunctionCatalogEntry. The schemas are JSON Schema."""

    id: str
    name: str
    description: str
    kind: str
    input: Mapping[str, Any]
    output: Mapping[str, Any]
    pointer: str


@dataclass(frozen=True, slots=True)
class Endpoint:
    id: str
    name: str
    description: str
    method: str
    pointer: str


@dataclass(frozen=True, slots=True)
class Binding:
    """A TripletFunctionMatrixEntry: what a triplet runs. `target` is the id of a function or an endpoint."""

    id: str
    kind: BindingKind
    target: str
    triplet: str | None
    description: str
    retries: int
    pointer: str


@dataclass(frozen=True, slots=True)
class Triplet:
    """An AgenticTriplet: this role does this to this entity. Lower `order` first."""

    id: str
    entity: str
    mode: str
    role: str
    stance: str
    priority: int
    binding: str | None
    functions: tuple[str, ...]
    conditions: tuple[str, ...]
    description: str
    pointer: str


@dataclass(frozen=True, slots=True)
class Dossier:
    """Everything refers to something that is there: the reader has seen to that."""

    header: Header
    entities: Mapping[str, Named]
    roles: Mapping[str, Named]
    functions: Mapping[str, Function]
    endpoints: Mapping[str, Endpoint]
    bindings: Mapping[str, Binding]
    triplets: tuple[Triplet, ...]
