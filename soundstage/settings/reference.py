"""Writes the reference of all settings out of their declarations, so that the docs cannot drift."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from soundstage.settings.problems import setting_names
from soundstage.settings.sources import NESTED, PREFIX
from soundstage.settings.tree import Settings


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
