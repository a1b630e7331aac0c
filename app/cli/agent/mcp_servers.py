"""`soundstage mcp-servers`: MCP servers of others, what they offer and which of their tools are allowed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.commands import add_group
from app.cli.state import JsonFlag, invocation, output, run

if TYPE_CHECKING:
    from agent.mcp_servers.service import ListedTool

SHOWN_CHARS = 4000
"""Of a description, for those who decide: more than a model gets."""
DIGEST_DIGITS = 12


def register(cli: typer.Typer) -> None:
    group = add_group(cli, "mcp-servers")

    @group.command("list")
    def list_servers(as_json: JsonFlag = False) -> None:
        """List the servers of the settings, and how many of their tools are allowed; starts none."""
        from agent.mcp_servers import McpServers
        from soundstage.http import own_listeners

        settings = invocation().settings()
        servers = McpServers(settings.agent.mcp_servers, settings.state_dir, own_listeners(settings))
        found = [{"name": one.name, "tools": one.tools} for one in servers.views()]
        rows = ([one["name"], one["tools"]] for one in found)
        empty = "There are none; the settings name them: [agent.mcp_servers.NAME]."
        output(as_json).listing({"servers": found}, ["name", "allowed tools"], rows, empty=empty)

    @group.command()
    def allow(
        name: Annotated[str, typer.Argument(help="The server, as the settings name it.")],
        tools: Annotated[list[str] | None, typer.Argument(help="Tools of it. Default: all.")] = None,
        confirm: Annotated[
            str, typer.Option("--confirm", help="Allow them, as they were shown: the digest shown with them.")
        ] = "",
        as_json: JsonFlag = False,
    ) -> None:
        """Show the tools of a server as it describes them now; with --confirm, allow them as they are.

        What was allowed before and is not named is no longer allowed.
        """
        from soundstage.errors import Conflict, NotFound

        printer = output(as_json)
        listed = run(_compare(name))
        usable = [one for one in listed if one.state not in ("gone", "unusable")]
        chosen = [one for one in usable if not tools or one.definition.name in tools]
        if missing := set(tools or ()) - {one.definition.name for one in chosen}:
            raise NotFound(
                "mcp_server.no_such_tool",
                f"The MCP server {name} has no tool that can be allowed named {', '.join(sorted(missing))}.",
                f"See `soundstage mcp-servers allow {name}`.",
            )
        digest = _digest(chosen)
        if confirm and confirm != digest:
            raise Conflict(
                "mcp_server.not_as_shown",
                f"The tools of the MCP server {name} are not those that were shown.",
                f"Look again: soundstage mcp-servers allow {name}",
            )
        if confirm:
            _allow(name, chosen)
        shown = [
            {
                "name": one.definition.name,
                "state": one.state,
                "description": one.definition.description,
                "input_schema": one.definition.input_schema,
                "why": one.why,
            }
            for one in listed
        ]
        if printer.as_json:
            printer.value({"allowed": bool(confirm), "digest": digest, "tools": shown})
            return
        for one in listed:
            printer.line(_words(one))
        if confirm:
            printer.line(f"Allowed, as it is now: {', '.join(one.definition.name for one in chosen)}")
        else:
            names = "".join(f" {tool}" for tool in tools or ())
            printer.line(
                f"Nothing was allowed. Do it: soundstage mcp-servers allow {name}{names} --confirm {digest}"
            )


async def _compare(name: str) -> list[ListedTool]:
    from agent.mcp_servers import McpServers
    from soundstage.http import own_listeners

    settings = invocation().settings()
    servers = McpServers(settings.agent.mcp_servers, settings.state_dir, own_listeners(settings))
    try:
        return await servers.compare(name)
    finally:
        await servers.close()


def _allow(name: str, tools: Sequence[ListedTool]) -> None:
    from agent.mcp_servers.allowed import AllowedTools

    AllowedTools(invocation().settings().state_dir).allow(name, [one.definition for one in tools])


def _digest(tools: Sequence[ListedTool]) -> str:
    """Returns what binds a yes to these very definitions."""
    hashes = sorted(one.definition.sha256 for one in tools)
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()[:DIGEST_DIGITS]


def _words(tool: ListedTool) -> str:
    from agent.mcp_servers.definitions import clean_text

    definition = tool.definition
    arguments = ", ".join(map(str, definition.input_schema.get("properties", {})))
    description = clean_text(definition.description, SHOWN_CHARS).replace("\n", "\n    ")
    lines = [f"{clean_text(definition.name, 80)} ({clean_text(arguments, 400)}): {tool.state}"]
    lines += [f"    {text}" for text in (tool.why, description) if text]
    return "\n".join(lines)
