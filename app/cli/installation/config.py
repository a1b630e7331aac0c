"""`soundstage config check|show`: what is set, and what is wrong with it."""

from __future__ import annotations

import json

import typer

from app.cli.commands import add_group
from app.cli.state import JsonFlag, invocation, output
from soundstage.telemetry.masking import mask_text


def register(cli: typer.Typer) -> None:
    group = add_group(cli, "config")

    @group.command()
    def check(as_json: JsonFlag = False) -> None:
        """Explain every bad value; exit code 1 when there is one."""
        called = invocation()
        printer = output(as_json)
        from soundstage.settings import check_settings

        problems = check_settings(called.config_file)
        if printer.as_json:
            printer.value({"ok": not problems, "problems": [str(problem) for problem in problems]})
        elif problems:
            for problem in problems:
                printer.line(str(problem))
        else:
            printer.line("All settings are fine.")
        raise typer.Exit(1 if problems else 0)

    @group.command()
    def show(as_json: JsonFlag = False) -> None:
        """Print every setting with its present value as TOML, without secrets."""
        called = invocation()
        printer = output(as_json)
        values = called.settings().mask_secrets()
        if printer.as_json:
            printer.value(values)
        else:
            for name, value in sorted(_flat("", values)):
                printer.line(f"# {name} is not set" if value is None else f"{name} = {_toml(value)}")


def _flat(prefix: str, values: dict[str, object]) -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = []
    for name, value in values.items():
        found += _flat(f"{prefix}{name}.", value) if isinstance(value, dict) else [(f"{prefix}{name}", value)]
    return found


def _toml(value: object) -> str:
    """Return a value of a settings file, with secrets masked."""
    match value:
        case bool():
            return str(value).lower()
        case int() | float():
            return str(value)
        case list():
            return f"[{', '.join(_toml(one) for one in value)}]"
        case dict():
            pairs = (f"{json.dumps(name)} = {_toml(one)}" for name, one in value.items() if one is not None)
            return f"{{ {', '.join(pairs)} }}"
        case _:
            # A basic string of TOML has the escapes of JSON.
            return json.dumps(mask_text(str(value)), ensure_ascii=False)
