"""`soundstage mcp`: the tools for an MCP client on this machine, over standard input and output."""

from __future__ import annotations

import logging
import sys
from typing import Annotated

import typer

from agent.mcp import McpCalls, serve_stdio
from app.cli.state import Invocation, invocation, run
from app.composition import opened, working
from policy import Principal
from policy.roles import role
from soundstage.telemetry import configure_logging

DEFAULT_ROLE = "operator"


def register(cli: typer.Typer) -> None:
    @cli.command()
    def mcp(
        context: typer.Context,
        as_role: Annotated[
            str, typer.Option("--role", help="What the client may do: viewer, editor, operator, admin.")
        ] = DEFAULT_ROLE,
    ) -> None:
        """Serve the tools to an MCP client, which starts this program and speaks over its pipes."""
        run(_serve(invocation(context), role(as_role).name))


async def _serve(called: Invocation, role_name: str) -> None:
    settings = called.settings()
    # Standard output belongs to the protocol.
    configure_logging(settings.log.level, settings.log.format, sys.stderr)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    principal = Principal(id="local:mcp", name="mcp", role=role_name, kind="local")
    async with opened(settings) as services, working(services):
        await serve_stdio(McpCalls(services.brain.toolset, services.doors, services.database), principal)
