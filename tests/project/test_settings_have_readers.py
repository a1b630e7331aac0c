"""Every setting is read by some code: one that does nothing is an untrue sentence of the reference."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

from soundstage.settings import Settings
from soundstage.settings.problems import setting_names
from soundstage.settings.sources import ENV_ALIASES, NOT_SETTINGS

ROOT = Path(__file__).parents[2]
ROOMS = ("soundstage", "policy", "farm", "studio", "agent", "provisioning_api", "lab", "pxe", "app")


@cache
def attributes() -> frozenset[tuple[str, str]]:
    """Pairs of an attribute and the name that it is read from: `settings.http.port` gives two."""
    found: set[tuple[str, str]] = set()
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Attribute):
                    owner = node.value
                    name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
                    found.add((name, node.attr))
    return frozenset(found)


def test_every_setting_has_a_reader() -> None:
    names = {attribute for _, attribute in attributes()}
    unread = [
        path
        for path, section in setting_names(Settings).items()
        if section is None and path.rsplit(".", 1)[-1] not in names
    ]
    assert unread == []


def test_every_section_of_settings_has_a_reader() -> None:
    # `services.image` was declared, documented and read by nothing, while its fields were read from others.
    sections = [path for path, section in setting_names(Settings).items() if section is not None]
    names = {attribute for _, attribute in attributes()}
    unread = []
    for path in sections:
        # Of sections that are named by the operator, the mapping is read.
        parent, _, name = path.removesuffix(".NAME").rpartition(".")
        owner = parent.rsplit(".", 1)[-1]
        read = (owner, name) in attributes() if owner else name in names
        if not read:
            unread.append(path)
    assert unread == []


def test_variables_that_are_no_settings_do_not_stop_a_program() -> None:
    """A shell where `SOUNDSTAGE_FARM_SECRETS` was exported for a playbook could start no server."""
    places = ("tools", "scripts", "ansible", "inventory", "molecule", "lab", "pxe", "jobs", "bench")
    files = [
        path
        for place in places
        for path in (ROOT / place).rglob("*")
        if path.is_file() and not {".venv", "node_modules", "__pycache__"} & set(path.parts)
    ]
    named: set[str] = set()
    for path in files:
        text = path.read_bytes().decode(errors="ignore")
        named |= set(re.findall(r"\bSOUNDSTAGE_([A-Z][A-Z_]*[A-Z])\b", text))
    assert "FARM_SECRETS" in named
    settings = {path.replace(".", "__").upper() for path in setting_names(Settings)}
    assert named - settings - NOT_SETTINGS - set(ENV_ALIASES) == set()
