"""Writes the tables of settings, permissions, roles and key states from their declarations, for the docs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from policy.keys.states import TRANSITIONS
from policy.permissions import PERMISSIONS
from policy.roles import roles
from soundstage.settings.problems import setting_names
from soundstage.settings.sources import NESTED, PREFIX
from soundstage.settings.tree import Settings


def policy_reference() -> str:
    """Markdown: who may do what, and how an API key lives."""
    table = roles()
    lines = ["## Roles", "", "| role | inherits | sentence |", "|---|---|---|"]
    lines += [f"| `{role.name}` | {role.inherits or ''} | {role.sentence} |" for role in table.values()]
    lines += [
        "",
        "## Permissions",
        "",
        f"| permission | allows | {' | '.join(table)} |",
        "|---|---" + "|---" * len(table) + "|",
    ]
    for known in PERMISSIONS:
        marks = " | ".join("yes" if known.name in role.permissions else "" for role in table.values())
        lines.append(f"| `{known.name}` | {known.allows} | {marks} |")
    lines += ["", "## The life of an API key", "", "| from | to |", "|---|---|"]
    for state, following in TRANSITIONS.items():
        lines.append(f"| {state} | {', '.join(sorted(following)) or 'nothing'} |")
    return "\n".join(lines) + "\n"


def settings_reference() -> str:
    """Markdown: a table per section, with the default, the variable and the meaning of every setting."""
    lines: list[str] = []
    _section(lines, Settings, "", "Top level")
    for path, section in setting_names(Settings).items():
        if section is not None:
            _section(lines, section, f"{path}.", f"`[{path}]`")
    return "\n".join(lines).rstrip() + "\n"


def _section(lines: list[str], section: type[BaseModel], prefix: str, title: str) -> None:
    values = {name: field for name, field in section.model_fields.items() if not _is_section(field)}
    if not values:
        return
    lines += (
        [f"## {title}", "", (section.__doc__ or "").strip().split("\n\n")[0], ""]
        if prefix
        else [f"## {title}", ""]
    )
    lines += ["| setting | default | variable | meaning |", "|---|---|---|---|"]
    for name, field in values.items():
        path = f"{prefix}{name}"
        variable = PREFIX + path.replace(".", NESTED).upper()
        lines.append(f"| `{path}` | {_default(field)} | `{variable}` | {field.description or ''} |")
    lines.append("")


def _is_section(field: FieldInfo) -> bool:
    return isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)


def _default(field: FieldInfo) -> str:
    value: Any = field.default
    if value is None or value == () or value == "":
        return "empty"
    if isinstance(value, Path):
        value = str(value)
    return f"`{json.dumps(value, default=str)}`"
