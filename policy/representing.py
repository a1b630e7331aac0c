"""In whose name a program asks that acts for people, as the agent does.

It is stated in a header, and believed only of those with the right to say so. The guard of routes reads it,
and the audit of the provisioning API writes it down.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from urllib.parse import quote, unquote

from fastapi.requests import HTTPConnection

from policy.principal import DEFAULT_TENANT, Principal
from soundstage.errors import Invalid

HEADER = "Soundstage-Acting-For"
PERMISSION = "person:represent"
MOST_CHARS = 200
_represented: ContextVar[Represented | None] = ContextVar("policy_represented", default=None)


@dataclass(frozen=True, slots=True)
class Represented:
    """The person behind a request: the id and name of their principal, and its tenant."""

    id: str
    name: str
    tenant: str = DEFAULT_TENANT

    @classmethod
    def of(cls, principal: Principal) -> Represented:
        return cls(principal.id, principal.name, principal.tenant)

    def header(self) -> str:
        """`id;name;tenant`, each percent-encoded: people have names that no header may hold."""
        return ";".join(quote(part, safe=":") for part in (self.id, self.name, self.tenant))

    def facts(self) -> dict[str, str]:
        """For an audit record."""
        told = {"id": self.id, "name": self.name}
        return told if self.tenant == DEFAULT_TENANT else {**told, "tenant": self.tenant}


def represented() -> Represented | None:
    """In whose name the present request is made; None when its caller acts for themselves."""
    return _represented.get()


def note_represented(connection: HTTPConnection, caller: Principal) -> None:
    """Believes the header of this request. Raises Forbidden for a caller who may not speak for others, and
    Invalid for a header that names nobody.
    """
    said = connection.headers.get(HEADER)
    if said is None:
        # Also where a test serves one request after the other in one task.
        _represented.set(None)
        return
    caller.require(PERMISSION)
    parts = [unquote(part, errors="replace") for part in said.split(";")]
    if len(parts) != 3 or not all(part.strip() and len(part) <= MOST_CHARS for part in parts):
        raise Invalid(
            "policy.bad_acting_for",
            f"The header {HEADER} names nobody.",
            "Send the id, the name and the tenant of the person, percent-encoded and joined by semicolons.",
        )
    person = Represented(*("".join(char if char.isprintable() else "�" for char in part) for part in parts))
    _represented.set(person)
