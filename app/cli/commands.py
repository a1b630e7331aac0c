"""Which module holds which command, so that a call loads only what it runs: loading all takes seconds."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module

import typer

MODULES = {
    "ask": "ask",
    "chat": "chat",
    "experts": "experts",
    "render": "render",
    "lipsync": "lipsync",
    "explain": "explain",
    "nodes": "nodes",
    "up": "up",
    "projects": "projects",
    "publish": "publish",
    "webhooks": "webhooks",
    "personas": "personas",
    "compile": "compile",
    "keys": "keys",
    "approvals": "approvals",
    "memory": "memory",
    "snapshots": "snapshots",
    "audit": "audit",
    "trace": "audit",
    "lab": "lab",
    "doctor": "doctor",
    "config": "config",
    "mcp": "mcp",
    "machines": "machines",
    "models": "models",
    "voices": "voices",
    "image": "image",
    "runs": "runs",
    "migrate": "storage",
    "backup": "storage",
    "restore": "storage",
    "restored": "storage",
    "gc": "storage",
    "version": "version",
}
VALUED_OPTIONS = frozenset({"-c", "--config-file"})


def register_commands(cli: typer.Typer, wanted: str | None = None) -> None:
    """Adds the module of the command `wanted`; all of them for help, for a word that is no command, and for
    None."""
    modules: Iterable[str] = dict.fromkeys(MODULES.values())
    if wanted in MODULES:
        modules = [MODULES[wanted]]
    for module in modules:
        import_module(f"app.cli.{module}").register(cli)


def command_in(arguments: Iterable[str]) -> str | None:
    """The first word that is neither an option of the root command nor the value of one."""
    rest = iter(arguments)
    for word in rest:
        if word in VALUED_OPTIONS:
            next(rest, None)
        elif not word.startswith("-"):
            return word
    return None
