"""Delegation: the person for whom a program acts, as the agent does.

A header names the person, and only callers with the permission may send it. The guard of routes reads it, and
the audit of the provisioning API records it.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from urllib.parse import quote, unquote

from fastapi.requests import HTTPConnection

from policy.principal import DEFAULT_TENANT, Principal
from soundstage.errors import Invalid
from soundstage.one_line import printable

DELEGATION_HEADER = "Soundstage-Acting-For"
DELEGATION_PERMISSION = "person:represent"
MAX_CHARS = 200
_acting_for: ContextVar[ActingFor | None] = ContextVar("policy_acting_for", default=None)


@dataclass(frozen=True, slots=True)
class ActingFor:
    """The person behind a request: the id and name of their principal, and its tenant."""

    id: str
    name: str
    tenant: str = DEFAULT_TENANT

    @classmethod
    def of(cls, principal: Principal) -> ActingFor:
        return cls(principal.id, principal.name, principal.tenant)

    def header(self) -> str:
        """`id;name;tenant`, each percent-encoded: people have names that no header may hold."""
        return ";".join(quote(part, safe=":") for part in (self.id, self.name, self.tenant))

    def facts(self) -> dict[str, str]:
        """Returns the fields of an audit record."""
        facts = {"id": self.id, "name": self.name}
        return facts if self.tenant == DEFAULT_TENANT else {**facts, "tenant": self.tenant}


def acting_for() -> ActingFor | None:
    """Returns the person for whom this request is made; None when the caller acts for themselves."""
    return _acting_for.get()


def set_acting_for(connection: HTTPConnection, caller: Principal) -> None:
    """Reads the header of this request. Raises Forbidden for a caller who may not act for others, and Invalid
    for a malformed header.
    """
    header = connection.headers.get(DELEGATION_HEADER)
    if header is None:
        # Clears what an earlier request in the same task left (tests).
        _acting_for.set(None)
        return
    caller.require(DELEGATION_PERMISSION)
    parts = [unquote(part, errors="replace") for part in header.split(";")]
    if len(parts) != 3 or not all(part.strip() and len(part) <= MAX_CHARS for part in parts):
        raise Invalid(
            "policy.bad_acting_for",
            f"The header {DELEGATION_HEADER} is malformed.",
            "Send the id, the name and the tenant of the person, percent-encoded and joined by semicolons.",
        )
    person = ActingFor(*(printable(part, "�") for part in parts))
    _acting_for.set(person)
