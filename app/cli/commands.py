"""The table of commands: in which module each is, in which group of the help, and its line there.

A call loads the module of its own command alone; help and completion of the root command load none.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup


class Group(NamedTuple):
    """A group of the help, and the package that has its commands."""

    title: str
    package: str


VIDEOS = Group("Make videos", "videos")
AGENT = Group("Talk to the agent", "agent")
FARM = Group("Farm and machines", "farm")
RUN = Group("Run the studio", "installation")
TRUST = Group("Trust and keys", "trust")
STATE = Group("State of this installation", "installation")


@dataclass(frozen=True, slots=True)
class Entry:
    """One command of the root."""

    module: str
    group: Group
    help: str


COMMANDS = MappingProxyType(
    {
        "ask": Entry("ask", VIDEOS, "Say a sentence to the agent, and wait for the video it makes."),
        "render": Entry(
            "render", VIDEOS, "Make a video that says a text: of a spec file, a script or a project."
        ),
        "lipsync": Entry(
            "lipsync",
            VIDEOS,
            "Make a filmed person say a sound file that is there already; their own movement stays.",
        ),
        "explain": Entry("explain", VIDEOS, "Say in one sentence why a render waits, or what became of it."),
        "projects": Entry("projects", VIDEOS, "Projects and their scenes."),
        "personas": Entry("personas", VIDEOS, "Who can speak."),
        "voices": Entry(
            "voices", VIDEOS, "Cloned voices of a speech service, each with its speaker's consent."
        ),
        "pronunciations": Entry(
            "pronunciations",
            VIDEOS,
            "How names and terms are spoken in every film; captions show them as written.",
        ),
        "compile": Entry(
            "compile", VIDEOS, "Compile a dossier. All faults are told at once, each with its JSON pointer."
        ),
        "publish": Entry(
            "publish", VIDEOS, "Publish finished renders on YouTube. `soundstage up` sends them."
        ),
        "links": Entry("links", VIDEOS, "Links that show one video to whoever has them, until they end."),
        "chat": Entry(
            "chat",
            AGENT,
            "Talk to the agent. Ctrl-C ends an answer, Ctrl-D the conversation, arrow keys bring lines back.",
        ),
        "memory": Entry("memory", AGENT, "What the agent was asked to remember."),
        "snapshots": Entry("snapshots", AGENT, "Named states of conversations."),
        "triggers": Entry("triggers", AGENT, "What is planned for a time or an event."),
        "experts": Entry(
            "experts",
            AGENT,
            "List the language models that can be asked, what they are good at and how they do.",
        ),
        "talk": Entry(
            "talk",
            AGENT,
            "Speak to the agent, and be answered aloud; speak again to interrupt.",
        ),
        "voice": Entry("voice", AGENT, "Voice sessions, and the worker process that hears and speaks."),
        "live": Entry("live", AGENT, "Broadcast a presenter, who says what you give them: RTMP or HLS."),
        "mcp": Entry(
            "mcp",
            AGENT,
            "Serve the tools to an MCP client, which starts this program and speaks over its pipes.",
        ),
        "mcp-servers": Entry("mcp_servers", AGENT, "MCP servers whose tools the agent may call."),
        "init": Entry(
            "init", FARM, "Ask five questions and write the inventory of a farm, for the playbook."
        ),
        "machines": Entry("machines", FARM, "Machines: from power-on to ready, and to their end."),
        "runs": Entry("runs", FARM, "Runs of Ansible on machines."),
        "nodes": Entry("nodes", FARM, "List the machines of the farm, as Nomad sees them."),
        "image": Entry("image", FARM, "The system that machines get when they boot from the network."),
        "lab": Entry("lab", FARM, "A farm in a box: real Debian machines on this computer. Needs root."),
        "models": Entry(
            "models",
            FARM,
            "Weights of the GPU engines: which are there, which are missing, under which licences.",
        ),
        "rehearse": Entry(
            "rehearse", FARM, "Try the whole chain on a card with your weights and a video, and judge it."
        ),
        "up": Entry(
            "up",
            RUN,
            "Start the servers: the page, the API and the agent; beside them the provisioning of machines.",
        ),
        "open": Entry("open", RUN, "Open the page of the running server, with a link that logs in once."),
        "login": Entry(
            "login", RUN, "Save the key of a server: for commands with --server, and where no studio is here."
        ),
        "logout": Entry(
            "login",
            RUN,
            "Forget the saved key of a server; the key itself goes on, `soundstage keys revoke` ends it.",
        ),
        "doctor": Entry(
            "doctor",
            RUN,
            "Look at everything a video needs on this machine; exit code 1 when something must be mended.",
        ),
        "health": Entry(
            "health",
            RUN,
            "Say whether the whole installation is well; exit code 1 when something must be mended.",
        ),
        "config": Entry("config", RUN, "Look at the settings."),
        "logs": Entry("logs", RUN, "Show what the servers have logged."),
        "webhooks": Entry("webhooks", RUN, "Tell other programs what happens, signed."),
        "version": Entry("version", RUN, "Print the version."),
        "keys": Entry("keys", TRUST, "Make, list, rotate and revoke API keys."),
        "approvals": Entry("approvals", TRUST, "See and decide which tool calls wait for people."),
        "audit": Entry("audit", TRUST, "Read and check the audit log."),
        "verify": Entry(
            "verify",
            TRUST,
            "Show the Content Credentials (C2PA) of a video; exit code 1 when the file was changed.",
        ),
        "trace": Entry(
            "audit", TRUST, "Show what a request led to: its audit lines, and its steps with their times."
        ),
        "backup": Entry(
            "storage",
            STATE,
            "Write the databases, all files and your personas into one archive. The server may keep running.",
        ),
        "restore": Entry("storage", STATE, "Check a backup and put it back. Stop the server first."),
        "seal": Entry("seal", STATE, "Encrypt the private keys as `[sealing]` of the settings says."),
        "migrate": Entry("storage", STATE, "Bring the database to the tables of this version."),
        "gc": Entry(
            "storage",
            STATE,
            "Remove files that nothing refers to, and renders older than the settings allow.",
        ),
    }
)


def add_group(cli: typer.Typer, name: str) -> typer.Typer:
    """Adds the group of commands `name`, with its help in the table, and returns it."""
    group = typer.Typer(help=COMMANDS[name].help, no_args_is_help=True)
    cli.add_typer(group, name=name)
    return group


class RootGroup(TyperGroup):
    """The root command. What it lists are lines of the table; a command is loaded when it is called."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name in self.commands:
            return self.commands[cmd_name]
        if (entry := COMMANDS.get(cmd_name)) is None:
            return None
        return TyperCommand(cmd_name, help=entry.help, rich_markup_mode=None)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        groups: dict[Group, list[tuple[str, str]]] = {}
        for name, entry in COMMANDS.items():
            groups.setdefault(entry.group, []).append((name, entry.help))
        for group, lines in groups.items():
            with formatter.section(group.title):
                formatter.write_dl(lines)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, found, rest = super().resolve_command(ctx, args)
        return name, found if name is None or found is None else self.load(name), rest

    def load(self, name: str) -> Any:
        """Return the command itself, with its options."""
        if name not in self.commands:
            module = typer.Typer(rich_markup_mode=None)
            entry = COMMANDS[name]
            import_module(f"app.cli.{entry.group.package}.{entry.module}").register(module)
            for found, command in typer.main.get_group(module).commands.items():
                self.commands[found] = command
        return self.commands[name]


def whole_cli(cli: typer.Typer) -> Any:
    """Return the root command with every command loaded: for the reference and for tests."""
    root: Any = typer.main.get_command(cli)
    for name in COMMANDS:
        root.load(name)
    return root
