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
from provisioning_api.rules.schemas import (
    ANNOUNCED,
    Reporter,
    Rule,
    RuleChange,
    RuleView,
    Then,
    When,
    default_rules,
    no_proof,
)
from soundstage.database import Database, utcnow
from soundstage.errors import Conflict, Invalid, NotFound

SHIPPED_BY = "shipped"


class RuleService:
    def __init__(self, db: Database, audit: AuditLog) -> None:
        self._db = db
        self._audit = audit

    async def ensure_default_rules(self) -> None:
        """Write the shipped rules at the first start, and updates unchanged ones to the current version; the
        others are the operator's.
        """
        async with self._db.transaction() as session:
            rows = {row.name: row for row in await Rules(session).list()}
            for rule in default_rules():
                row = rows.get(rule.name)
                if row is None and (not rows or rule.name == ANNOUNCED):
                    await Rules(session).add(_row(rule, SHIPPED_BY))
                elif row is not None and row.changed_by == SHIPPED_BY:
                    row.sentence, row.when = rule.sentence, rule.when.model_dump(mode="json")

    async def list(self) -> list[RuleView]:
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
            changes = {field: getattr(change, field) for field in change.model_fields_set}
            merged = _plain(row).model_copy(update={k: v for k, v in changes.items() if v is not None})
            try:
                rule = Rule.model_validate(merged.model_dump())
            except ValidationError as error:
                reason = error.errors()[0]["msg"].removeprefix("Value error, ")
                raise Invalid(
                    "rule.invalid", f"The rule would not hold: {reason}.", "Name what proves the machine."
                ) from error
            row.sentence, row.enabled = rule.sentence, rule.enabled
            row.when, row.then = rule.when.model_dump(mode="json"), rule.then.model_dump(mode="json")
            row.changed_by, row.changed_at = by, utcnow()
            await self._audit.record(session, by, "rule.changed", name, rule.model_dump(mode="json"))
        return rule

    async def remove(self, name: str, *, by: str) -> None:
        async with self._db.transaction() as session:
            await Rules(session).delete(await _found(session, name))
            await self._audit.record(session, by, "rule.removed", name)

    async def fitting(
        self, session: AsyncSession, machine: Machine, source: str | None, reporter: Reporter
    ) -> Sequence[Rule]:
        """The rules that a machine reporting from the address `source` falls under, by name.

        `source` is where the connection comes from, never what the machine says of itself.
        """
        hardware = Hardware.model_validate(machine.hardware or {})
        rules = [_rule(row) for row in await Rules(session).list_enabled()]
        return [rule for rule in rules if not rule.refused and rule.when.fits(hardware, source, reporter)]


async def _found(session: AsyncSession, name: str) -> RuleRow:
    missing = NotFound(
        "rule.not_found", f"There is no rule {name!r}.", "List them: `soundstage machines rules`."
    )
    return await Rules(session).require(name, missing)


def _row(rule: Rule, by: str) -> RuleRow:
    return RuleRow(
        name=rule.name,
        sentence=rule.sentence,
        enabled=rule.enabled,
        when=rule.when.model_dump(mode="json"),
        then=rule.then.model_dump(mode="json"),
        changed_by=by,
    )


def _plain(row: RuleRow) -> Rule:
    """As it is stored, whatever today's terms are: to be changed into one that holds."""
    return Rule.model_construct(
        name=row.name,
        sentence=row.sentence,
        enabled=row.enabled,
        when=When.model_validate(row.when),
        then=Then.model_validate(row.then),
    )


def _rule(row: RuleRow) -> RuleView:
    """Never active under terms that no longer hold: off, with the reason."""
    rule = _plain(row)
    reason = no_proof(rule.when, rule.then) if row.enabled else ""
    return RuleView(**{**rule.model_dump(), "enabled": row.enabled and not reason}, refused=reason)
