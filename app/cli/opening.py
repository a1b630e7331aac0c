"""Runs one call on the services of this installation, for commands that need nothing else of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from app.cli.state import Invocation, run
from app.composition import Services, opened

T = TypeVar("T")


def with_services(called: Invocation, call: Callable[[Services], Awaitable[T]]) -> T:
    """What `call` answers. The services are open only meanwhile."""

    async def work() -> T:
        async with opened(called.settings()) as services:
            return await call(services)

    return run(work())


def in_transaction(called: Invocation, call: Callable[[Services, AsyncSession], Awaitable[T]]) -> T:
    """What `call` answers inside a transaction of its own, which is committed when it returns."""

    async def work(services: Services) -> T:
        async with services.database.transaction() as session:
            return await call(services, session)

    return with_services(called, work)
