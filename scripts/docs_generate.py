"""Writes docs/reference/ out of the code (`make docs`); with --check says what has drifted (`make check`)."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import typer
from avatar.spec import json_schema

from agent.approvals.states import TRANSITIONS as APPROVAL_TRANSITIONS
from agent.tools import ALL_TOOLS
from app.cli.main import build_cli
from farm.states import TRANSITIONS as TASK_TRANSITIONS
from policy.reference import policy_reference
from provisioning_api.enrolment.states import ENROLMENT_TRANSITIONS
from provisioning_api.machines.states import GUARDS, MACHINE_TRANSITIONS
from provisioning_api.runs.states import RUN_TRANSITIONS
from soundstage.errors.catalogue import error_reference
from soundstage.settings.reference import settings_reference
from studio.publishing.states import PUBLICATION_TRANSITIONS
from studio.renders.states import RENDER_TRANSITIONS, SEGMENT_TRANSITIONS
from studio.webhooks.states import DELIVERY_TRANSITIONS

ROOT = Path(__file__).parent.parent
GENERATED = "<!-- Written by `make docs` from the code; do not edit. -->\n\n"
CONTROL = ("soundstage", "policy", "farm", "pxe", "studio", "provisioning_api", "agent", "lab", "app")
ROOMS = (*CONTROL, "avatar/src/avatar")


def settings_page() -> str:
    return (
        "# Settings\n\nRead from `config.toml` (or `-c FILE`), then from environment variables. "
        "`soundstage config check` explains every bad value.\n\n" + settings_reference()
    )


def errors_page() -> str:
    return (
        "# Errors\n\nEvery expected failure has a code, a sentence and a hint: over HTTP as problem details "
        "(RFC 9457), on the command line as three lines, from a worker as its last progress line. `…` stands "
        "for what is only known then.\n" + error_reference(ROOT / room for room in ROOMS)
    )


def permissions_page() -> str:
    lines = [
        "# Permissions and roles\n",
        "Every route and every tool declares one permission; what is not granted is denied.\n",
        policy_reference(),
        "## Tools of the agent\n",
        "| tool | what it does | effect | permission |",
        "|---|---|---|---|",
        *(f"| `{one.name}` | {one.purpose} | {one.effect} | `{one.permission}` |" for one in ALL_TOOLS),
    ]
    return "\n".join(lines) + "\n"


def states_page() -> str:
    tables: list[tuple[str, Mapping[Any, frozenset[Any]]]] = [
        ("Render", RENDER_TRANSITIONS),
        ("Segment", SEGMENT_TRANSITIONS),
        ("Task of a scheduler", TASK_TRANSITIONS),
        ("Publication", PUBLICATION_TRANSITIONS),
        ("Delivery of a webhook", DELIVERY_TRANSITIONS),
        ("Machine", MACHINE_TRANSITIONS),
        ("Enrolment of a machine", ENROLMENT_TRANSITIONS),
        ("Run of Ansible", RUN_TRANSITIONS),
        ("Approval of a tool call", APPROVAL_TRANSITIONS),
    ]
    lines = ["# States", "", "A move that a table does not hold is an error, never a silent write.", ""]
    for title, table in tables:
        lines += [f"## {title}", "", "| from | may become |", "|---|---|"]
        for state, following in table.items():
            names = ", ".join(sorted(str(one) for one in following)) or "nothing: it is final"
            lines.append(f"| {state} | {names} |")
        lines.append("")
    lines += ["## What a machine's moves need besides", "", "| from | to | needs |", "|---|---|---|"]
    lines += [f"| {before} | {after} | {guard.needs} |" for (before, after), guard in GUARDS.items()]
    return "\n".join(lines) + "\n"


def cli_page() -> str:
    lines = ["# Command line", ""]
    group = typer.main.get_command(build_cli())
    context = click.Context(group, info_name="soundstage")  # type: ignore[arg-type]
    _command(lines, group, context, 2)  # type: ignore[arg-type]
    return "\n".join(lines).rstrip() + "\n"


def _command(lines: list[str], command: click.Command, context: click.Context, level: int) -> None:
    lines += [
        f"{'#' * level} `{context.command_path}`",
        "",
        (command.help or "").replace("\n", " ").strip(),
        "",
    ]
    rows = []
    for parameter in command.get_params(context):
        names = ", ".join(f"`{name}`" for name in [*parameter.opts, *parameter.secondary_opts])
        if parameter.param_type_name == "argument":
            names = f"`{(parameter.name or '').upper()}`"
        meaning = getattr(parameter, "help", None) or ""
        if "--help" not in parameter.opts:
            rows.append(f"| {names} | {meaning.replace('|', '/')} |")
    if rows:
        lines += ["| argument | meaning |", "|---|---|", *rows, ""]
    for name, sub in sorted(getattr(command, "commands", {}).items()):
        _command(lines, sub, click.Context(sub, info_name=name, parent=context), min(level + 1, 4))


def renderspec_page() -> str:
    schema = json.dumps(json_schema(), indent=2, ensure_ascii=False)
    return (
        "# RenderSpec schema\n\nJSON Schema (2020-12) of version 1. How to write one: "
        "[Writing a RenderSpec](../guide/renderspec.md).\n\n"
        f"```json\n{schema}\n```\n"
    )


PAGES = {
    "settings": settings_page,
    "errors": errors_page,
    "permissions": permissions_page,
    "states": states_page,
    "cli": cli_page,
    "renderspec": renderspec_page,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    stale = []
    for name, page in PAGES.items():
        path = ROOT / "docs" / "reference" / f"{name}.md"
        text = GENERATED + page()
        if check and (not path.exists() or path.read_text() != text):
            stale.append(str(path.relative_to(ROOT)))
        elif not check:
            path.write_text(text)
    if stale:
        print("The code has moved on from: " + ", ".join(stale) + "\nRun `make docs` and commit the result.")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
