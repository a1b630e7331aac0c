"""Whose rows they are: every statement reads and writes those of the present tenant, and no others.

Who works is known ambiently. A request is nobody's until the guard of its route knows who asks; what runs
outside of a request (a command on this machine, a test) is of the first tenant; what the installation does by
itself says so (`as_the_house`, `of_the_house`) and names the tenant of each row that it makes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from functools import lru_cache

from sqlalchemy import ColumnElement, String, event
from sqlalchemy.orm import Mapped, ORMExecuteState, Session, mapped_column, with_loader_criteria
from sqlalchemy.sql.base import ExecutableOption

DEFAULT_TENANT = "default"
"""Whoever runs the installation; all that was there before there were others is theirs."""
NOBODY = ""
"""As whom a request begins. No row is theirs."""
NAME_CHARS = 63
NAME_PATTERN = r"^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$"
"""A label of a host name (RFC 1123 §2.1): it goes into folders, logs and headers as it is."""

# None: the house, which sees all rows.
_present: ContextVar[str | None] = ContextVar("soundstage_tenant", default=DEFAULT_TENANT)


def present_tenant() -> str | None:
    """Whose rows statements read now; None when it is the house that works."""
    return _present.get()


def own_tenant() -> str:
    """Whose row a new one is. Raises RuntimeError for the house, which has none: it names the tenant."""
    tenant = _present.get()
    if not tenant:
        who = "the house" if tenant is None else "nobody"
        raise RuntimeError(f"a row would be of {who}: name its tenant, or work for one")
    return tenant


def enter_tenant(tenant: str) -> None:
    """For the rest of this request or task."""
    _present.set(tenant)


@contextmanager
def working_for(tenant: str) -> Iterator[None]:
    """Statements of this block, and of the tasks that it starts, are about the rows of one tenant."""
    token = _present.set(tenant)
    try:
        yield
    finally:
        _present.reset(token)


@contextmanager
def as_the_house() -> Iterator[None]:
    """Statements of this block see the rows of all tenants. Nothing of it may be told to one of them."""
    token = _present.set(None)
    try:
        yield
    finally:
        _present.reset(token)


def of_the_house() -> Context:
    """For `asyncio.create_task(…, context=…)`: the installation itself works there, whoever's request starts
    it.
    """
    context = copy_context()
    context.run(_present.set, None)
    return context


def marked_of(tenant: str) -> dict[str, str]:
    """What an event or a line of a log tells of whose it is; nothing where it is the first one's."""
    return {} if tenant == DEFAULT_TENANT else {"tenant": tenant}


def tenant_of(data: Mapping[str, object]) -> str:
    """Whose it is that tells so, in the way of `marked_of`."""
    return str(data.get("tenant", DEFAULT_TENANT))


class TenantOwned:
    """Adds the column `tenant` to a table. Rows are of whoever makes them, and exist for nobody else."""

    tenant: Mapped[str] = mapped_column(String(80), default=own_tenant)


class TenantSession(Session):
    """The session in which rows of other tenants do not exist."""


@lru_cache(maxsize=256)
def _only(tenant: str) -> ExecutableOption:
    def is_own(table: type[TenantOwned]) -> ColumnElement[bool]:
        return table.tenant == tenant

    return with_loader_criteria(TenantOwned, is_own, include_aliases=True)


@event.listens_for(TenantSession, "do_orm_execute")
def _read_own_rows(state: ORMExecuteState) -> None:
    tenant = _present.get()
    if tenant is None or state.is_column_load or not state.is_orm_statement:
        return
    # Only the room that owns such tables has SQL on them (a test holds it): others need not pay for it.
    if (asked := state.bind_mapper) is not None and not issubclass(asked.class_, TenantOwned):
        return
    if state.is_select or state.is_update or state.is_delete:
        state.statement = state.statement.options(_only(tenant))
