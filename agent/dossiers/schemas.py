"""Wire types of the compiler: its answer, and the workflow of a dossier."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from agent.dossiers.model import BindingKind
from agent.dossiers.problems import Problem


class StepCall(BaseModel):
    """The call of a step: an operation of the mock API, which stands in for the real service."""

    kind: BindingKind
    target: str = Field(description="id of the function or endpoint in the dossier")
    operation: str = Field(description="operationId in the mock API")
    method: str
    path: str
    retries: int = 0


class Step(BaseModel):
    """One agentic triplet: a role does something to an entity."""

    id: str
    says: str = Field(description="what the step does, in one sentence")
    role: str
    mode: str
    entity: str
    stance: Literal["ACT", "REACT"]
    priority: int
    when: tuple[str, ...] = Field(default=(), description="conditions as the dossier words them; not run")
    calls: tuple[StepCall, ...] = ()
    next: str | None = None


class Workflow(BaseModel):
    """Proactive steps follow each other by priority; reactive ones wait for what they react to."""

    version: Literal[1] = 1
    persona: str
    dossier: str
    dossier_version: str
    start: str | None = Field(default=None, description="the first step that acts by itself")
    reacts: tuple[str, ...] = Field(default=(), description="steps that wait, the most important first")
    steps: tuple[Step, ...] = ()


class Compiled(BaseModel):
    """The answer of the compiler. `agent_yaml` is a persona file, `api` an OpenAPI 3.1 document."""

    success: Literal[True] = True
    agent_id: str
    agent_yaml: str
    workflow: Workflow
    api: dict[str, Any]
    warnings: tuple[Problem, ...] = ()
    errors: tuple[Problem, ...] = ()
    saved: bool = False
