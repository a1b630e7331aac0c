"""Errors of calls to MCP servers. What a server says in an error is text of others, cleaned and cut."""

from __future__ import annotations

from agent.mcp_servers.definitions import clean_text
from soundstage.errors import SoundstageError, Unavailable, Upstream

MAX_MESSAGE_CHARS = 300


def too_much(server: str, limit: int) -> SoundstageError:
    return Upstream(
        "mcp_server.answer_too_large",
        f"The MCP server {server} sent more than {limit >> 20} MiB for one call, and was cut off.",
        "Ask it for less at a time.",
    )


def connection_loss(server: str) -> SoundstageError:
    return Upstream(
        "mcp_server.ended",
        f"The MCP server {server} ended, or closed the connection, before it had answered.",
        "What it had done by then stays. `soundstage doctor` looks whether it starts; the log has more.",
    )


def not_started(server: str, why: str) -> SoundstageError:
    return Unavailable(
        "mcp_server.not_started",
        f"The MCP server {server} cannot be reached: {clean_text(' '.join(why.split()), MAX_MESSAGE_CHARS)}.",
        f"Look at `command` or `url` of [agent.mcp_servers.{server}] in the settings.",
    )


def refusal(server: str, message: str) -> SoundstageError:
    return Upstream(
        "mcp_server.refused",
        f"The MCP server {server} answered with an error: {clean_text(message, MAX_MESSAGE_CHARS)}",
        "The error is that server's own; look at the arguments.",
    )
