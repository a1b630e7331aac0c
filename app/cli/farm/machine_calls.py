"""Shared by the commands about machines and runs: names, and calls of the provisioning API."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.state import invocation, run, set_invocation
from soundstage.errors import Invalid, SoundstageError

if TYPE_CHECKING:
    from app.machines_api import MachinesApi

Work = Callable[["MachinesApi"], Awaitable[Any]]


def no_path(text: str) -> str:
    """A name or an id becomes part of a URL: nothing in it may lead elsewhere."""
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,100}", text) or ".." in text:
        raise Invalid("machines.bad_name", f"{text[:100]!r} is no name and no id.", "See the list.")
    return text


Name = Annotated[str, typer.Argument(help="A machine: its name or its id.", callback=no_path)]


def take_authority(group: typer.Typer) -> None:
    """Let the group take `--ca`, before its command."""

    @group.callback()
    def options(
        ca: Annotated[
            Path | None,
            typer.Option(
                "--ca",
                help="Certificate of the authority of a provisioning API elsewhere (its `machines ca`).",
            ),
        ] = None,
    ) -> None:
        if ca is not None:
            set_invocation(replace(invocation(), machines_ca=ca.absolute()))


def call_machines(work: Work) -> Any:
    """Runs one conversation with the provisioning API."""
    called = invocation()

    async def conversation() -> Any:
        from app.machines_api import machines_api

        async with machines_api(called.settings()) as api:
            try:
                return await work(api)
            except SoundstageError as error:
                if error.code != "request.invalid":
                    raise
                # Field names of REST, as far as the options have the same; not the address of its reference.
                wrong = error.message.partition(": ")[2].replace("body.", "")
                raise Invalid(
                    "arguments.invalid",
                    f"The arguments do not hold: {wrong}",
                    "`--help` behind the command tells what it takes.",
                ) from error

    return run(conversation())
