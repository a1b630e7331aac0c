"""Asks the policy what it would decide for a key, and says which grants and rules it looks at; called by the
routes. Nothing is done, and no decision is cached, counted or logged as one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, Field

from policy.audit import AuditEntry, AuditLog
from policy.decisions.bundle import load_bundle
from policy.decisions.decider import Decider
from policy.decisions.question import Action, Effect, Question
from policy.decisions.verdict import Verdict
from policy.declarations import RouteGrant
from policy.keys.schemas import KeyView
from policy.keys.service import KeyService
from policy.permissions import PERMISSIONS, covers, permission
from policy.principal import Principal
from policy.roles import role
from soundstage.database import Database
from soundstage.database.tenants import NAME_CHARS, NAME_PATTERN
from soundstage.views import read_view

MAX_ARGUMENTS = 50
ArgumentValue = str | int | float | bool | None | list[str]


class PolicyQuestion(BaseModel, extra="forbid"):
    """May a key do this? `action` is a permission (`render:create`), a tool (`change_job.stop`) or a route
    (`POST /api/renders`).
    """

    key: str | None = Field(default=None, max_length=80, description="id of a key; null: the caller itself")
    action: str = Field(min_length=1, max_length=200)
    arguments: dict[str, ArgumentValue] = Field(
        default={},
        max_length=MAX_ARGUMENTS,
        description="of a tool: what its rule limits or asks people about",
    )
    tenant: str | None = Field(
        default=None,
        max_length=NAME_CHARS,
        pattern=NAME_PATTERN,
        description="whose thing it is done to; null: a thing of the key's own tenant",
    )


class Subject(BaseModel):
    """The key as the policy sees it."""

    id: str
    name: str
    role: str
    scopes: list[str] | None
    state: str
    tenant: str


class Grant(BaseModel):
    """A pattern that covers the permission, and the role that has it: the key's own or an inherited one."""

    role: str
    pattern: str


class PolicyAnswer(BaseModel):
    """Holds the decision of the policy, with the grants and the rule that it looks at. `grants` is empty
    where no role gives the permission; `scopes` are those of the key that cover it, None where they do not
    narrow its role. `rule` is that of the tool in `policy/rego/tools.json`.
    """

    verdict: Verdict
    reasons: list[str]
    approvers: int
    revision: str
    subject: Subject
    permission: str
    effect: Effect | None
    grants: list[Grant]
    scopes: list[str] | None
    system_scope: bool = Field(description="of what there is only once, which the first tenant runs")
    rule: dict[str, Any] | None


class ActionView(BaseModel):
    """Something that a question may be about. `arguments` are those that the rule of a tool looks at."""

    name: str
    kind: Literal["permission", "tool", "route"]
    permission: str
    effect: Effect | None
    about: str
    arguments: list[str] = []


@dataclass(frozen=True, slots=True)
class PolicyTest:
    db: Database
    keys: KeyService
    decider: Decider
    audit: AuditLog

    def actions(self, routes: Iterable[RouteGrant]) -> list[ActionView]:
        """Returns all that a question may be about: permissions, tools, routes."""
        sentences = {known.name: known.allows for known in PERMISSIONS}
        effects: Mapping[str, Any] = load_bundle().data["permissions"]
        found = [
            ActionView(
                name=name, kind="permission", permission=name, effect=rule["effect"], about=sentences[name]
            )
            for name, rule in effects.items()
        ]
        found += [
            ActionView(
                name=name,
                kind="tool",
                permission=rule["permission"],
                effect=rule["effect"],
                about=rule.get("because", ""),
                arguments=_arguments(rule),
            )
            for name, rule in _tools().items()
        ]
        return found + [
            ActionView(
                name=name,
                kind="route",
                permission=needed,
                effect=effects[needed]["effect"],
                about=sentences[needed],
            )
            for name, needed in _routes(routes).items()
        ]

    async def answer(
        self, question: PolicyQuestion, by: Principal, routes: Iterable[RouteGrant]
    ) -> PolicyAnswer:
        """Raises NotFound (`key.not_found`), and Invalid for an action that there is not. The question is
        recorded in the audit log: it tells what others may do.
        """
        subject = by if question.key is None else _principal_of(await self._key(question.key, by))
        action = _action(question, routes)
        decision = await self.decider.engine.decide(Question(subject, action).document())
        data = {"action": action.name, "permission": action.permission, "verdict": decision.verdict}
        await self.audit.record_now(
            AuditEntry("policy.tested", by.name, subject=subject.id, tenant=by.tenant, data=data)
        )
        bundle = load_bundle().data
        return PolicyAnswer(
            verdict=decision.verdict,
            reasons=list(decision.reasons),
            approvers=decision.approvers,
            revision=decision.revision,
            subject=read_view(Subject, subject),
            permission=action.permission,
            effect=action.effect or bundle["permissions"][action.permission]["effect"],
            grants=_grants(subject.role, action.permission),
            scopes=None
            if subject.scopes is None
            else [one for one in subject.scopes if covers(one, action.permission)],
            system_scope=any(covers(one, action.permission) for one in bundle["house"]["permissions"]),
            rule=_tools().get(action.name) if action.kind == "tool" else None,
        )

    async def _key(self, key_id: str, by: Principal) -> KeyView:
        async with self.db.session() as session:
            return await self.keys.get(session, key_id, by)


def _action(question: PolicyQuestion, routes: Iterable[RouteGrant]) -> Action:
    """Returns the action that is named. Raises Invalid (`policy.unknown_permission`)."""
    name, arguments = question.action.strip(), question.arguments
    if (rule := _tools().get(name)) is not None:
        return Action("tool", name, rule["permission"], rule["effect"], arguments, question.tenant)
    needed = _routes(routes).get(name) or permission(name).name
    return Action("route", name, needed, tenant=question.tenant)


def _tools() -> Mapping[str, Mapping[str, Any]]:
    found: Mapping[str, Mapping[str, Any]] = load_bundle().data["tools"]
    return found


def _routes(grants: Iterable[RouteGrant]) -> dict[str, str]:
    """Returns the permission of each route that needs just one, by method and path."""
    return {
        f"{method} {grant.described_path}": grant.permissions[0]
        for grant in grants
        for method in grant.methods
        if len(grant.permissions) == 1
    }


def _arguments(rule: Mapping[str, Any]) -> list[str]:
    conditions = [condition["argument"] for condition in rule.get("ask", ())]
    return sorted({*rule.get("files", ()), *rule.get("at_most", ()), *conditions})


def _grants(name: str, needed: str) -> list[Grant]:
    """Returns the patterns that give the permission, from the role itself to those that it inherits from."""
    found: list[Grant] = []
    table: Mapping[str, Any] = load_bundle().data["roles"]
    at: str | None = role(name).name
    while at is not None:
        found += [Grant(role=at, pattern=one) for one in table[at].get("grants", ()) if covers(one, needed)]
        at = table[at].get("inherits")
    return found


def _principal_of(key: KeyView) -> Principal:
    scopes = None if key.scopes is None else tuple(key.scopes)
    return Principal(key.id, key.name, key.role, "key", scopes, state=key.state, tenant=key.tenant)
