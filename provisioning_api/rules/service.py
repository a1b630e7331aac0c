"""The verbs of rules; discovery asks `apply`, operators change them."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning_api.audit.service import AuditLog
from provisioning_api.machines.hardware import Hardware
from provisioning_api.machines.models import Machine
from provisioning_api.rules.models import RuleRow
from provisioning_api.rules.repository import Rules
from provisioning_api.rules.schemas import Rule, RuleChange, shipped_rules
from soundstage.database import Database, utcnow
from soundstage.errors import Conflict, Invalid, NotFound

SHIPPED_BY = "shipped"


class RuleService:
    def __init__(self, db: Database, audit: AuditLog) -> None:
        self._db = db
        self._audit = audit

    async def ensure_shipped(self) -> None:
        """At the first start the shipped rules are written; later they are the operator's."""
        async with self._db.transaction() as session:
            if not await Rules(session).list():
                for rule in shipped_rules():
                    await Rules(session).add(_row(rule, SHIPPED_BY))

    async def list(self) -> list[Rule]:
        async with self._db.session() as session:
            return [_rule(row) for row in await Rules(session).list()]

    async def create(self, rule: Rule, *, by: str) -> Rule:
        async with self._db.transaction() as session:
            if await Rules(session).find(rule.name) is not None:
                raise Conflict("rule.exists", f"There is a rule {rule.name} already.", "Change that one.")
            await Rules(session).add(_row(rule, by))
            await self._audit.record(session, by, "rule.created", rule.name, rule.model_dump(mode="json"))
        return rule

    async def change(self, name: str, change: RuleChange, *, by: str) -> Rule:
        async with self._db.transaction() as session:
            row = await _found(session, name)
            given = {field: getattr(change, field) for field in change.model_fields_set}
            merged = _rule(row).model_copy(update={k: v for k, v in given.items() if v is not None})
            try:
                rule = Rule.model_validate(merged.model_dump())
            except ValidationError as error:
                reason = error.errors()[0]["msg"].removeprefix("Value error, ")
                raise Invalid(
                    "rule.invalid", f"The rule would not hold: {reason}.", "Name the networks."
                ) from error
            row.sentence, row.enabled = rule.sentence, rule.enabled
            row.when, row.then = rule.when.model_dump(mode="json"), rule.then.model_dump(mode="json")
            row.changed_by, row.changed_at = by, utcnow()
            await self._audit.record(session, by, "rule.changed", name, rule.model_dump(mode="json"))
        return rule

    async def remove(self, name: str, *, by: str) -> None:
        async with self._db.transaction() as session:
            await Rules(session).remove(await _found(session, name))
            await self._audit.record(session, by, "rule.removed", name)

    async def fitting(self, session: AsyncSession, machine: Machine, source: str | None) -> Sequence[Rule]:
        """The rules that a machine reporting from the address `source` falls under, by name.

        `source` is where the connection comes from, never what the machine says of itself.
        """
        hardware = Hardware.model_validate(machine.hardware or {})
        rules = [_rule(row) for row in await Rules(session).enabled()]
        return [rule for rule in rules if rule.when.fits(hardware, source)]


async def _found(session: AsyncSession, name: str) -> RuleRow:
    row = await Rules(session).find(name)
    if row is None:
        raise NotFound(
            "rule.not_found", f"There is no rule {name!r}.", "List them: `soundstage machines rules`."
        )
    return row


def _row(rule: Rule, by: str) -> RuleRow:
    return RuleRow(
        name=rule.name,
        sentence=rule.sentence,
        enabled=rule.enabled,
        when=rule.when.model_dump(mode="json"),
        then=rule.then.model_dump(mode="json"),
        changed_by=by,
    )


def _rule(row: RuleRow) -> Rule:
    return Rule.model_validate(
        {
            "name": row.name,
            "sentence": row.sentence,
            "enabled": row.enabled,
            "when": row.when,
            "then": row.then,
        }
    )
