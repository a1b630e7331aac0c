"""Writes docs/reference/ out of the code (`make docs`); with --check says what has drifted (`make check`)."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import yaml
from avatar.spec import json_schema
from error_codes import error_reference
from figures_page import figures_page
from long_runs import long_runs_page
from metrics_page import metrics_page
from reference_tables import policy_reference, settings_reference

from agent.approvals.states import TRANSITIONS as APPROVAL_TRANSITIONS
from agent.tools import ALL_TOOLS
from agent.tools.record import rule_name
from agent.triggers.states import TRIGGER_TRANSITIONS
from app.cli.commands import whole_cli
from app.cli.main import build_cli
from farm.states import TRANSITIONS as TASK_TRANSITIONS
from provisioning_api.enrolment.states import ENROLMENT_TRANSITIONS
from provisioning_api.healing.states import HEALING_TRANSITIONS
from provisioning_api.machines.states import GUARDS, MACHINE_TRANSITIONS
from provisioning_api.runs.states import RUN_TRANSITIONS
from studio.personas.file_schema import persona_schema
from studio.publishing.states import PUBLICATION_TRANSITIONS
from studio.renders.states import RENDER_TRANSITIONS, SEGMENT_TRANSITIONS
from studio.voices.states import VOICE_TRANSITIONS
from studio.webhooks.states import DELIVERY_TRANSITIONS

ROOT = Path(__file__).parent.parent
GENERATED = "<!-- Written by `make docs` from the code; do not edit. -->\n\n"
CONTROL = ("soundstage", "policy", "farm", "pxe", "studio", "provisioning_api", "agent", "lab", "app")
ROOMS = (*CONTROL, "avatar/src/avatar")


def injection_page() -> str:
    """From the cases that tests/agent/test_injection_cases.py plays through."""
    path = ROOT / "tests" / "agent" / "injection_cases.yaml"
    table = yaml.safe_load(path.read_text(encoding="utf-8"))
    lines = [
        "# Orders in text from outside\n",
        "A language model reads what others have written, and may believe it. Each line is a test with a "
        "model that obeys every word: it reads the text and calls the tool. What happens then is decided "
        "without it, with and without the reader before the model: changes, whatever is sent to others, and "
        "what is not for every ear (memories, logs of jobs, pictures, the audit log) "
        "need the person's own words. Lists and states are looked up, for "
        "whatever reason a model has.\n",
        "| the words lie in | they ask to | the model calls | what happens |",
        "|---|---|---|---|",
    ]
    outcomes = {
        "asked": "nothing; the person is offered a sentence",
        "refused": "refused: there is no such tool",
    }
    for source, orders in table["cases"].items():
        for name in orders:
            order = table["orders"][name]
            calls = ", ".join(f"`{tool}`" for tool in order["calls"])
            happens = outcomes[order.get("result", "asked")]
            lines.append(f"| {table['sources'][source]['told']} | {order['told']} | {calls} | {happens} |")
    lines.append(
        "\nA tool that only reads runs, for nobody can tell a model's own look-up from one that it was "
        "talked into; what it reads is what the person may read, and goes to that person and to the language "
        "model of the conversation. A look at a picture that would send it to a model on another machine is "
        "asked for like a change. So is a tool of an MCP server whose arguments have words that are not the "
        "person's own."
    )
    lines.append(
        "\nWhat remains: a model that fills other arguments than were meant into a tool that the person did "
        "ask for. What destroys something therefore needs the person's own sentence as soon as anything was "
        "read, and fleets need people ([Policy](../guide/policy.md))."
    )
    return "\n".join(lines) + "\n"


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
        "| tool, or one of its actions | what it does | effect | permission |",
        "|---|---|---|---|",
        *(
            f"| `{rule}` | {one.purpose} | {act.effect} | `{act.permission}` |"
            for one in ALL_TOOLS
            for rule, act in one.rules.items()
        ),
    ]
    return "\n".join(lines) + "\n"


def states_page() -> str:
    tables: list[tuple[str, Mapping[Any, frozenset[Any]]]] = [
        ("Render", RENDER_TRANSITIONS),
        ("Segment", SEGMENT_TRANSITIONS),
        ("Task of a scheduler", TASK_TRANSITIONS),
        ("Publication", PUBLICATION_TRANSITIONS),
        ("Cloned voice", VOICE_TRANSITIONS),
        ("Delivery of a webhook", DELIVERY_TRANSITIONS),
        ("Machine", MACHINE_TRANSITIONS),
        ("Enrolment of a machine", ENROLMENT_TRANSITIONS),
        ("Run of Ansible", RUN_TRANSITIONS),
        ("Healing of a machine", HEALING_TRANSITIONS),
        ("Approval of a tool call", APPROVAL_TRANSITIONS),
        ("Trigger", TRIGGER_TRANSITIONS),
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
    group = whole_cli(build_cli())
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
    "metrics": metrics_page,
    "cli": cli_page,
    "renderspec": renderspec_page,
    "injection": injection_page,
    "long-tests": lambda: long_runs_page(ROOT),
}


def persona_schema_file() -> str:
    return json.dumps(persona_schema(), indent=2, ensure_ascii=False) + "\n"


def policy_rules_file() -> str:
    """Returns the rules of the policy on tools, from their records."""
    rules = {rule: act.policy_rule() for tool in ALL_TOOLS for rule, act in tool.rules.items()}
    return json.dumps({"tools": rules}, indent=2, ensure_ascii=False) + "\n"


def labels_file() -> str:
    """Returns what the page calls each call."""
    labels = {rule_name(tool.name, action): tool.label(action) for tool in ALL_TOOLS for action in tool.acts}
    return json.dumps(labels, indent=2, ensure_ascii=False) + "\n"


def readme_file() -> str:
    """Returns README with the number of tools that there are."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.sub(r"works: \d+ tools,", f"works: {len(ALL_TOOLS)} tools,", text)


FILES = {
    "policy/rego/tools.json": policy_rules_file,
    "ui/src/kit/labels.json": labels_file,
    "README.md": readme_file,
    "personas/schema.json": persona_schema_file,
    "docs/figures.md": lambda: figures_page(ROOT),
}
"""Generated files outside of the reference."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    stale = []
    contents = {**FILES, **{f"docs/reference/{name}.md": page for name, page in PAGES.items()}}
    # One after the other: a page of the reference reads the rules of the policy.
    for name, content in contents.items():
        path, text = ROOT / name, (GENERATED if name.startswith("docs/reference/") else "") + content()
        if check and (not path.exists() or path.read_text() != text):
            stale.append(name)
        elif not check:
            path.write_text(text)
    if stale:
        print("The code has moved on from: " + ", ".join(stale) + "\nRun `make docs` and commit the result.")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
