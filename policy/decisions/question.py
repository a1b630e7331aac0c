"""The question that the policy answers: who wants to do what, to whose things, with which arguments."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from policy.principal import Principal

Effect = Literal["read", "write", "destructive"]


@dataclass(frozen=True, slots=True)
class Action:
    """A route (`GET /api/renders`) or a tool with its arguments; `tenant` says whose thing it touches."""

    kind: Literal["route", "tool"]
    name: str
    permission: str
    effect: Effect | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    tenant: str | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """An action that a caller requests."""

    principal: Principal
    action: Action

    def document(self) -> dict[str, Any]:
        """The `input` of the Rego, as `policy/rego/authz.rego` describes it."""
        who, what = self.principal, self.action
        return {
            "action": {
                "kind": what.kind,
                "name": what.name,
                "permission": what.permission,
                "effect": what.effect,
            },
            "subject": {
                "id": who.id,
                "kind": who.kind,
                "role": who.role,
                "scopes": None if who.scopes is None else list(who.scopes),
                "state": who.state,
                "tenant": who.tenant,
            },
            "resource": {"tenant": what.tenant},
            "arguments": dict(what.arguments),
        }


def digest(document: Mapping[str, Any]) -> str:
    """The same for the same question, whatever the order of its fields."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()
