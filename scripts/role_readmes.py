"""Writes each role's README, and the comments of its defaults, out of its argument specs (`make docs`).

With --check it writes nothing, and fails when something has drifted.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import textwrap
from pathlib import Path
from typing import Any

import yaml

ROLES = Path(__file__).parent.parent / "ansible" / "roles"
GENERATED = "<!-- Written by `make docs` from meta/argument_specs.yml; do not edit. -->\n\n"
# C(code) as Ansible's own documentation writes it.
_CODE = re.compile(r"C\((?P<text>[^)]*)\)")
_DEFAULT = re.compile(r"(?:^#.*\n)*^(?P<name>\w+):", re.MULTILINE)
_COMMENT_WIDTH = 138


def readme(role: str, spec: dict[str, Any], defaults: dict[str, Any]) -> str:
    """What the role is for, and a table of its variables."""
    lines = [f"# Role {role}\n", _sentence(_text(spec["short_description"])) + "\n"]
    lines += [_sentence(_text(paragraph)) + "\n" for paragraph in _paragraphs(spec.get("description", []))]
    options = spec.get("options", {})
    if options:
        lines += ["| variable | type | default | meaning |", "|---|---|---|---|"]
    for name, option in options.items():
        lines += _rows(name, option, defaults.get(name, option.get("default")))
    return GENERATED + "\n".join(lines) + "\n"


def with_comments(defaults: str, options: dict[str, Any]) -> str:
    """Returns a file of defaults with what each variable means above it, in place of the comments there."""

    def comment(match: re.Match[str]) -> str:
        meaning = _meaning(options.get(match["name"], {})).replace("`", "")
        lines = textwrap.wrap(meaning, _COMMENT_WIDTH, break_long_words=False, break_on_hyphens=False)
        return "".join(f"# {line}\n" for line in lines) + f"{match['name']}:"

    return _DEFAULT.sub(comment, defaults)


def drifts(role: str, spec: dict[str, Any], defaults: dict[str, Any]) -> list[str]:
    """Variables that only one of the two files knows, and defaults that differ."""
    options = spec.get("options", {})
    found = [
        f"{role}: {name} has a default and no description"
        for name in sorted(defaults.keys() - options.keys())
    ]
    for name, option in options.items():
        if not name.startswith(f"{role}__"):
            found.append(f"{role}: {name} does not start with {role}__")
        stated, real = option.get("default"), defaults.get(name)
        if stated is not None and real != stated and not (isinstance(real, str) and "{{" in real):
            found.append(f"{role}: {name} is described with default {stated!r}, and has {real!r}")
    return found


def _rows(name: str, option: dict[str, Any], default: Any, indent: str = "") -> list[str]:
    kind = option.get("type", "str")
    if kind == "list":
        kind = f"list of {option.get('elements', 'anything')}"
    if "choices" in option:
        kind = " / ".join(f"`{choice}`" for choice in option["choices"])
    shown = "**required**" if option.get("required") else _default(default)
    rows = [f"| {indent}`{name}` | {kind} | {shown} | {_meaning(option)} |"]
    for inner, inner_option in option.get("options", {}).items():
        rows += _rows(inner, inner_option, inner_option.get("default"), indent + "· ")
    return rows


def _meaning(option: dict[str, Any]) -> str:
    return " ".join(_sentence(_text(paragraph)) for paragraph in _paragraphs(option.get("description", "")))


def _default(value: Any) -> str:
    if value is None or (isinstance(value, str) and "{{" in value):
        return ""
    text = json.dumps(value, ensure_ascii=False)
    return f"`{text}`" if len(text) <= 60 else "see `defaults/main.yml`"


def _paragraphs(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) and value else list(value)


def _text(value: str) -> str:
    return _CODE.sub(lambda match: f"`{match['text']}`", " ".join(value.split())).replace("|", "\\|")


def _sentence(text: str) -> str:
    return text if text.endswith((".", ":", "?")) else f"{text}."


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when something has drifted")
    check = parser.parse_args().check
    problems: list[str] = []
    for path in sorted(ROLES.glob("*/meta/argument_specs.yml")):
        role = path.parts[-3]
        spec = yaml.safe_load(path.read_text())["argument_specs"]["main"]
        defaults_file = ROLES / role / "defaults" / "main.yml"
        source = defaults_file.read_text() if defaults_file.exists() else ""
        defaults = yaml.safe_load(source) or {}
        problems += drifts(role, spec, defaults)
        written = {ROLES / role / "README.md": readme(role, spec, defaults)}
        if source:
            written[defaults_file] = with_comments(source, spec.get("options", {}))
        for target, text in written.items():
            if target.exists() and target.read_text() == text:
                continue
            if check:
                problems.append(f"{target.relative_to(ROLES.parent.parent)} has drifted: make docs")
            else:
                target.write_text(text)
    problems += [
        f"{role.name}: meta/argument_specs.yml is missing"
        for role in sorted(ROLES.iterdir())
        if role.is_dir() and not (role / "meta" / "argument_specs.yml").exists()
    ]
    print("\n".join(problems), end="\n" if problems else "")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
