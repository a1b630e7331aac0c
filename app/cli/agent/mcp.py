"""`soundstage mcp`: the tools for an MCP client on this machine, over standard input and output."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli.state import invocation, run

DEFAULT_ROLE = "operator"


def register(cli: typer.Typer) -> None:
    @cli.command()
    def mcp(
        as_role: Annotated[
            str, typer.Option("--role", help="What the client may do: viewer, editor, operator, admin.")
        ] = DEFAULT_ROLE,
    ) -> None:
        """Serve the tools to an MCP client, which starts this program and speaks over its pipes."""
        from app.cli.agent.mcp_pipes import forward, serve
        from app.cli.connection import server_of
        from policy.roles import role

        called = invocation()
        name = role(as_role).name
        login = server_of(called)
        run(serve(called.settings(), name) if login is None else forward(login, name))
