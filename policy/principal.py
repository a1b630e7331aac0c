"""The caller of a request: created by the authenticator or, for commands on this machine, by the CLI;
services check it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from policy.decisions.embedded import permissions_of
from policy.permissions import permission
from policy.roles import role
from soundstage.database import tenants
from soundstage.errors import Forbidden

Kind = Literal["key", "session", "local"]

DEFAULT_TENANT = tenants.DEFAULT_TENANT
LOCAL = "local:"
"""Begins the ids of the user of this machine; those of keys never begin so."""


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller. `scopes` narrow what the role grants; None means that they do not.

    `state` is that of the key behind it at the moment of asking, `tenant` whose things it works on.
    `until` is when the key or the login behind it ends by itself; None: not by itself. `key_id` names that
    key; it is empty for a command that works in this process. The local key is not a person of its own: its
    principal has the id of the user of this machine, which stays when the key is replaced.
    """

    id: str
    name: str
    role: str
    kind: Kind
    scopes: tuple[str, ...] | None = None
    state: str = "active"
    tenant: str = DEFAULT_TENANT
    until: datetime | None = field(default=None, compare=False)
    key_id: str = field(default="", compare=False)

    @classmethod
    def local_admin(cls, name: str = "cli") -> Principal:
        """The user of this machine, who owns the files anyway: for commands that work in this process."""
        return cls(id=f"{LOCAL}{name}", name=name, role="admin", kind="local")

    @property
    def permissions(self) -> frozenset[str]:
        """All that this principal may do."""
        return permissions_of(role(self.role).name, self.scopes, self.tenant)

    @property
    def is_local(self) -> bool:
        """True for the user of this machine: at the prompt, with the local key, or a login of it."""
        return self.id.startswith(LOCAL)

    @property
    def is_operator(self) -> bool:
        """True for who runs the installation: an admin of the first tenant, who lets the others in."""
        return self.tenant == DEFAULT_TENANT and self.role == "admin"

    def may(self, name: str) -> bool:
        """Returns whether it may do that; Invalid for a permission that does not exist."""
        return permission(name).name in self.permissions

    def require(self, name: str) -> None:
        """Raises Forbidden unless it may do that."""
        if not self.may(name):
            why = "the scopes of this key"
            if name not in role(self.role).permissions:
                why = f"the role {self.role}"
            elif name not in permissions_of(self.role, None, self.tenant):
                why = f"the tenant {self.tenant}"
            raise Forbidden(
                "policy.forbidden",
                f"This needs the permission {name}, which {why} does not give.",
                "Ask an administrator for a key with more rights.",
            )

    def missing(self, names: Iterable[str]) -> list[str]:
        """Returns those of `names` that it may not do."""
        return sorted(set(names) - self.permissions)
