"""Errors of calls to MCP servers. What a server says in an error is text of others, cleaned and cut."""

from __future__ import annotations

from agent.mcp_servers.definitions import clean_text
from soundstage.errors import Conflict, NotFound, SoundstageError, TooLarge, Unavailable, Upstream

MAX_MESSAGE_CHARS = 300


def too_much(server: str, limit: int) -> SoundstageError:
    return Upstream(
        "mcp_server.answer_too_large",
        f"The MCP server {server} sent more than {limit >> 20} MiB for one call, and was cut off.",
        "Ask it for less at a time.",
    )


def no_answer(server: str, timeout_s: float) -> SoundstageError:
    return SoundstageError(
        "mcp_server.no_answer",
        f"The MCP server {server} did not answer within {timeout_s:g} s, and was cut off.",
        f"What it had done by then stays. `timeout_s` of [agent.mcp_servers.{server}] is the limit.",
        504,
    )


def connection_loss(server: str) -> SoundstageError:
    return Upstream(
        "mcp_server.ended",
        f"The MCP server {server} ended, or closed the connection, before it had answered.",
        "What it had done by then stays. `soundstage doctor` looks whether it starts; the log has more.",
    )


def back_off(server: str, wait_s: float) -> SoundstageError:
    return Unavailable(
        "mcp_server.waits",
        f"The MCP server {server} has failed, and is tried again in {max(1, round(wait_s))} s.",
        "`soundstage doctor` looks whether it starts.",
        headers={"Retry-After": str(max(1, round(wait_s)))},
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


def bad_answer(server: str) -> SoundstageError:
    return Upstream(
        "mcp_server.garbled",
        f"The MCP server {server} answered with something that is no result of a tool.",
        "Its version may not fit; ask its maker.",
    )


def tool_change(server: str, tool: str) -> SoundstageError:
    return Conflict(
        "mcp_server.tool_changed",
        f"The MCP server {server} has changed or removed its tool {tool} since it was allowed.",
        f"Look at it and allow it again: `soundstage mcp-servers allow {server}`.",
    )


def unknown_server(server: str) -> SoundstageError:
    return NotFound(
        "mcp_server.not_found",
        f"There is no MCP server {server!r} in the settings.",
        "Add a section [agent.mcp_servers.NAME] to the settings file.",
    )


def too_many_tools(server: str, limit: int) -> SoundstageError:
    return TooLarge(
        "mcp_server.too_many_tools",
        f"The MCP server {server} lists more than {limit} tools.",
        "Use one with fewer tools.",
    )
