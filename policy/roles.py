"""Roles as people see them: read from the data of the rules and checked; used for lists and for new keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from policy.decisions.bundle import load_bundle
from policy.decisions.embedded import permissions_of
from policy.permissions import check_pattern
from soundstage.errors import Invalid


@dataclass(frozen=True, slots=True)
class Role:
    """A named set of permissions."""

    name: str
    sentence: str
    inherits: str | None

    @property
    def permissions(self) -> frozenset[str]:
        """Its own and the inherited ones together, as the rules see it."""
        return permissions_of(self.name, None)


@cache
def roles() -> Mapping[str, Role]:
    """The roles of this installation, by name."""
    return parse_roles(load_bundle().data["roles"])


def role(name: str) -> Role:
    """The role of that name; Invalid when there is none."""
    found = roles().get(name)
    if found is None:
        raise Invalid(
            "policy.unknown_role", f"There is no role {name!r}.", f"Roles are: {', '.join(roles())}."
        )
    return found


def parse_roles(table: Mapping[str, Any]) -> dict[str, Role]:
    """The roles of a table; Invalid for circles, unknown names and grants that grant nothing."""
    for name in table:
        _check(name, table, ())
    return {
        name: Role(name, entry.get("sentence", ""), entry.get("inherits")) for name, entry in table.items()
    }


def _check(name: str, table: Mapping[str, Any], below: tuple[str, ...]) -> None:
    if name in below:
        raise _bad(f"the roles {' > '.join((*below, name))} inherit in a circle")
    if name not in table:
        raise _bad(f"the role {below[-1]!r} inherits from {name!r}, which does not exist")
    entry = table[name]
    for pattern in entry.get("grants", ()):
        check_pattern(pattern)
    if parent := entry.get("inherits"):
        _check(parent, table, (*below, name))


def _bad(reason: str) -> Invalid:
    return Invalid(
        "policy.bad_roles", f"The roles cannot be used: {reason}.", "Correct policy/rego/data.json."
    )
