"""The tenant filter: every ORM statement reads and writes the rows of the current tenant, and no others. Core
statements on the tables of tenants are refused, because nothing filters them.

The current tenant is a context variable. A request starts without a tenant (`NO_TENANT`, no rows match) until
the guard of its route has identified the caller; code outside of a request (a command, a test) runs as
`DEFAULT_TENANT`. Jobs of the installation bypass the filter (`bypass_tenant_filter` for a block,
`tenant_bypass_context` for a task) and have to name the tenant of each row that they insert.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from functools import lru_cache
from typing import Any, cast
from weakref import WeakKeyDictionary

from sqlalchemy import ColumnElement, String, Table, event, inspect
from sqlalchemy.orm import (
    Mapped,
    Mapper,
    ORMExecuteState,
    Session,
    mapped_column,
    with_loader_criteria,
)
from sqlalchemy.sql import visitors
from sqlalchemy.sql.base import Executable, ExecutableOption

DEFAULT_TENANT = "default"
"""The tenant of the operator, who runs the installation."""
NO_TENANT = ""
"""The tenant of a request before authentication. No row has it."""
NAME_CHARS = 63
NAME_PATTERN = r"^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$"
"""A label of a host name (RFC 1123 §2.1): it goes into folders, logs and headers as it is."""

# None bypasses the filter: rows of all tenants match.
_current: ContextVar[str | None] = ContextVar("soundstage_tenant", default=DEFAULT_TENANT)


def current_tenant() -> str | None:
    """Returns the tenant that statements are filtered by; None while the filter is bypassed."""
    return _current.get()


def require_tenant() -> str:
    """Returns the tenant of a new row. Raises RuntimeError where there is none: before authentication, and
    while the filter is bypassed.
    """
    tenant = _current.get()
    if not tenant:
        why = "the tenant filter is bypassed" if tenant is None else "the caller is not authenticated"
        raise RuntimeError(f"no current tenant: {why}; set the row's tenant, or use tenant_scope()")
    return tenant


def set_tenant(tenant: str) -> None:
    """Sets the current tenant for the rest of this request or task."""
    _current.set(tenant)


@contextmanager
def tenant_scope(tenant: str) -> Iterator[None]:
    """Sets the current tenant for the block and the tasks that it starts."""
    token = _current.set(tenant)
    try:
        yield
    finally:
        _current.reset(token)


@contextmanager
def bypass_tenant_filter() -> Iterator[None]:
    """Disables the filter for the block: statements see the rows of all tenants. The caller must not return
    them to a tenant unchecked.
    """
    token = _current.set(None)
    try:
        yield
    finally:
        _current.reset(token)


def tenant_bypass_context() -> Context:
    """Returns a context without the filter for `asyncio.create_task(…, context=…)`: jobs of the installation,
    whichever request starts them.
    """
    context = copy_context()
    context.run(_current.set, None)
    return context


def tenant_attribute(tenant: str) -> dict[str, str]:
    """Returns the `tenant` field of an event or log line; an empty dict for `DEFAULT_TENANT`."""
    return {} if tenant == DEFAULT_TENANT else {"tenant": tenant}


def tenant_of(data: Mapping[str, object]) -> str:
    """Returns the tenant of event data written with `tenant_attribute`."""
    return str(data.get("tenant", DEFAULT_TENANT))


class TenantOwned:
    """Adds the column `tenant` to a table, filled from the current tenant and filtered by it."""

    tenant: Mapped[str] = mapped_column(String(80), default=require_tenant)


class TenantSession(Session):
    """A session that adds the tenant filter to every ORM SELECT, UPDATE and DELETE."""


@lru_cache(maxsize=256)
def _tenant_criteria(tenant: str) -> ExecutableOption:
    def is_own(table: type[TenantOwned]) -> ColumnElement[bool]:
        return table.tenant == tenant

    return with_loader_criteria(TenantOwned, is_own, include_aliases=True)


@event.listens_for(TenantSession, "do_orm_execute")
def _apply_tenant_filter(state: ORMExecuteState) -> None:
    tenant = _current.get()
    if tenant is None or state.is_column_load:
        return
    if not state.is_orm_statement:
        _refuse_unfiltered(state.statement)
    elif state.is_select or state.is_update or state.is_delete:
        # Whatever it selects first: a join or a subquery may reach a table of tenants.
        state.statement = state.statement.options(_tenant_criteria(tenant))


def _refuse_unfiltered(statement: Executable) -> None:
    """Raises RuntimeError for a statement of `Table`s, to which SQLAlchemy adds no criteria."""
    if (found := _refused.get(statement)) is None:
        owned = {mapper.local_table for mapper in _owned_mappers()}
        tables = {one for one in visitors.iterate(cast(Any, statement)) if isinstance(one, Table)}
        found = _refused[statement] = ", ".join(sorted(table.name for table in tables & owned))
    if found:
        raise RuntimeError(f"no tenant filter on a Core statement: use the mapped class of {found}")


def _owned_mappers() -> Iterator[Mapper[Any]]:
    classes = list(TenantOwned.__subclasses__())
    for one in classes:
        classes += one.__subclasses__()
        if (mapper := inspect(one, raiseerr=False)) is not None:
            yield mapper


# The tables of tenants in each statement; the statements of a hot path are module constants.
_refused: WeakKeyDictionary[Executable, str] = WeakKeyDictionary()
