"""Roles as data: read from `roles.toml`, inheritance resolved; used when somebody is authenticated."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from policy.permissions import check_pattern, covered
from soundstage.errors import Invalid


@dataclass(frozen=True, slots=True)
class Role:
    """A named set of permissions, its own and the inherited ones together."""

    name: str
    sentence: str
    inherits: str | None
    permissions: frozenset[str]


@cache
def roles() -> Mapping[str, Role]:
    """The roles of this installation, by name."""
    return parse_roles(files("policy").joinpath("roles.toml").read_text(encoding="utf-8"))


def role(name: str) -> Role:
    """The role of that name; Invalid when there is none."""
    found = roles().get(name)
    if found is None:
        raise Invalid(
            "policy.unknown_role", f"There is no role {name!r}.", f"Roles are: {', '.join(roles())}."
        )
    return found


def parse_roles(text: str) -> dict[str, Role]:
    """Resolves the inheritance of a TOML table of roles; Invalid for circles and unknown names."""
    table = tomllib.loads(text)
    return {name: _resolve(name, table, ()) for name in table}


def _resolve(name: str, table: Mapping[str, Any], below: tuple[str, ...]) -> Role:
    if name in below:
        raise _bad(f"the roles {' > '.join((*below, name))} inherit in a circle")
    if name not in table:
        raise _bad(f"the role {below[-1]!r} inherits from {name!r}, which does not exist")
    entry = table[name]
    parent = entry.get("inherits")
    inherited = _resolve(parent, table, (*below, name)).permissions if parent else frozenset()
    own = covered(check_pattern(pattern) for pattern in entry.get("grants", ()))
    return Role(name, entry.get("sentence", ""), parent, inherited | own)


def _bad(reason: str) -> Invalid:
    return Invalid("policy.bad_roles", f"The roles cannot be used: {reason}.", "Correct policy/roles.toml.")
