"""Shared by all commands: the options of the root command, and how a coroutine is run and stopped."""

from __future__ import annotations

import signal
from collections.abc import Coroutine
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from app.cli.printing import Printer

if TYPE_CHECKING:
    from soundstage.settings import Settings

T = TypeVar("T")

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]

EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143


@dataclass(frozen=True, slots=True)
class Invocation:
    """The options given before the command."""

    config_file: Path | None
    as_json: bool
    debug: bool = False
    server: str | None = None
    machines_ca: Path | None = None
    """The authority behind the provisioning API, in place of the one in the settings."""

    def settings(self) -> Settings:
        from soundstage.settings import load_settings

        found = load_settings(self.config_file)
        if self.machines_ca is None:
            return found
        machines = found.provisioning.model_copy(update={"api_ca_file": self.machines_ca})
        return found.model_copy(update={"provisioning": machines})

    def printer(self, as_json: bool = False) -> Printer:
        return Printer(as_json=as_json or self.as_json)


_current: ContextVar[Invocation] = ContextVar("invocation")
_logged: ContextVar[Invocation] = ContextVar("invocation that log lines have the form of")


def set_invocation(called: Invocation) -> None:
    """Stores the options of the root command for its command."""
    _current.set(called)


def invocation() -> Invocation:
    """Returns the options of the root command. The first call for a command configures its log lines."""
    called = _current.get()
    if _logged.get(None) is not called:
        from soundstage.telemetry.logs import configure_logging

        configure_logging("debug" if called.debug else "warning")
        _logged.set(called)
    return called


def output(as_json: bool) -> Printer:
    """Returns the printer of a command, which prints JSON where the command or the root was asked to."""
    return invocation().printer(as_json)


class Stopped(Exception):
    """SIGINT or SIGTERM ended a command in an orderly way; `exit_code` says which."""

    def __init__(self, exit_code: int) -> None:
        super().__init__(exit_code)
        self.exit_code = exit_code


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's coroutine. A signal cancels it, so that it can tidy up; then `Stopped` is raised."""

    import asyncio

    from soundstage.tracing import trace

    async def run_guarded() -> T:
        loop = asyncio.get_running_loop()
        task = asyncio.ensure_future(work)
        caught: list[int] = []

        def stop(exit_code: int) -> None:
            if not caught:
                task.cancel()
            caught.append(exit_code)

        loop.add_signal_handler(signal.SIGINT, stop, EXIT_INTERRUPTED)
        loop.add_signal_handler(signal.SIGTERM, stop, EXIT_TERMINATED)
        try:
            return await task
        except asyncio.CancelledError:
            if caught:
                raise Stopped(caught[0]) from None
            raise

    # One trace from the command to the last frame of what it makes.
    with trace():
        return asyncio.run(run_guarded())
