"""Says what is wrong with a command line of ours, without running it: a command, option, verb or file that
does not exist. `…`, words in capitals and words in angle brackets stand for something.
"""

from __future__ import annotations

import contextlib
import io
import re
import typing
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from avatar.cli.arguments import build_parser
from avatar.cli.from_text import asks_for_text
from typer._click.core import Context
from typer._click.exceptions import ClickException

from app.cli.commands import whole_cli
from app.cli.main import build_cli

ROOT = Path(__file__).parents[2]


def fault(words: list[str], *, whole: bool = True) -> str | None:
    """What does not exist in a call, or None. `whole`: required arguments must be there, too."""
    program, arguments = words[0], words[1:]
    if re.fullmatch(r"(.*/)?\.venv/bin/\w+", program) or program in ("soundstage", "avatar", "pytest"):
        program = Path(program).name
    if program == "soundstage":
        return _soundstage(arguments, whole)
    if program == "avatar":
        return _avatar(arguments, whole)
    if program == "make":
        return _make(arguments)
    if program.startswith("scripts/"):
        return _script(program, arguments)
    if program == "ansible-playbook":
        return _files([one for one in arguments if one.endswith((".yaml", ".yml")) and "~" not in one])
    if program == "nomad":
        return _nomad(arguments)
    if program == "molecule" and "-s" in arguments:
        return _files([f"molecule/{arguments[arguments.index('-s') + 1]}"])
    if program == "curl":
        return _curl(arguments)
    if program.endswith("pytest"):
        return _files([one for one in arguments if one.startswith("tests/")])
    return None


@cache
def _commands() -> Any:
    return whole_cli(build_cli())


def _soundstage(arguments: list[str], whole: bool) -> str | None:
    command, context, rest = _commands(), None, arguments
    while True:
        context = Context(command, info_name=command.name or "soundstage", parent=context)
        if not whole:
            rest = [one for one in rest if one != "--help"]
        try:
            given, rest, _ = command.make_parser(context).parse_args(args=list(rest))
        except ClickException as error:
            wrong = error.format_message()
            return None if not whole and "requires an argument" in wrong else wrong
        if not hasattr(command, "commands"):
            break
        if not rest:
            return None if not whole or command is not _commands() else "no command is named"
        name, rest = rest[0], rest[1:]
        if not whole and not re.fullmatch(r"[a-z-]+", name):
            return None
        if name not in command.commands:
            return f"`{context.command_path}` has no command {name!r}"
        command = command.commands[name]
    return _parameters(command, given, rest, whole)


def _parameters(command: Any, given: dict[str, Any], rest: list[str], whole: bool) -> str | None:
    for parameter in command.params:
        value = given.get(parameter.name)
        if whole and parameter.required and not isinstance(value, str | list | tuple):
            return f"{parameter.name} is missing"
        choices = _choices(parameter)
        if choices and isinstance(value, str) and value not in choices and not _stands_for(value):
            return f"{value!r} is none of {', '.join(choices)}"
    if rest and not command.allow_extra_args and not all(_stands_for(one) for one in rest):
        return f"nothing takes {rest[0]!r}"
    return None


def _choices(parameter: Any) -> list[str]:
    annotation = parameter.type_descriptor.annotation
    options = [annotation, *typing.get_args(annotation)]
    found = [one for one in options if typing.get_origin(one) is typing.Literal]
    return [str(choice) for one in found for choice in typing.get_args(one)]


def _stands_for(word: str) -> bool:
    return "…" in word or word.isupper() or word.startswith("<")


def _avatar(arguments: list[str], whole: bool) -> str | None:
    parser = build_parser(from_text=asks_for_text(arguments))
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
        try:
            parser.parse_args([one for one in arguments if one != "…"])
        except SystemExit as end:
            wrong = said.getvalue().strip().rpartition("error: ")[2]
            if end.code and (whole or not re.search("are required|expected one argument", wrong)):
                return wrong
    return None


def _make(arguments: list[str]) -> str | None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    verbs = set(re.findall(r"^([a-z][\w-]*):", text, re.MULTILINE))
    for argument in arguments:
        variable, assigned, _ = argument.partition("=")
        if assigned and not re.search(rf"\b{variable}\b", text):
            return f"the Makefile reads no {variable}"
        if not assigned and argument not in verbs and not _stands_for(argument):
            return f"make has no verb {argument!r}"
    return None


def _script(program: str, arguments: list[str]) -> str | None:
    sources = [ROOT / program]
    if program == "scripts/bench" and arguments and not _stands_for(arguments[0]):
        sources.append(ROOT / f"bench/{arguments[0].removesuffix('.py')}.py")
    if program == "scripts/test":
        sources.append(ROOT / "scripts/lanes.py")
    if lacking := [str(one.relative_to(ROOT)) for one in sources if not one.is_file()]:
        return f"there is no {lacking[0]}"
    text = "".join(one.read_text(encoding="utf-8") for one in sources)
    for module in re.findall(r"-m ([\w.]+)", text):
        # The options of a shell script that hands its arguments to a program.
        program_of = ROOT / module.replace(".", "/") / "__main__.py"
        text += program_of.read_text(encoding="utf-8") if program_of.is_file() else ""
    for argument in arguments:
        option = argument.partition("=")[0]
        if option.startswith("--") and not re.search(rf"(?<![\w-]){option}(?![\w-])", text):
            return f"{program} takes no {option}"
    return None


def _files(names: list[str]) -> str | None:
    lacking = [name for name in names if not (ROOT / name.partition("::")[0]).exists()]
    return f"there is no {lacking[0]}" if lacking else None


@cache
def routes() -> list[re.Pattern[str]]:
    """Paths of all routes, as their decorators have them."""
    decorator = re.compile(r'@\w+\.(?:get|post|put|patch|delete|websocket)\(\s*"(/[^"]*|)"')
    rooms = ("soundstage", "policy", "farm", "studio", "agent", "provisioning_api", "app")
    paths = [path for room in rooms for path in (ROOT / room).rglob("*.py") if ".venv" not in path.parts]
    texts = [path.read_text(encoding="utf-8") for path in paths]
    named = {
        name: path for text in texts for name, path in re.findall(r'^(\w+) = "(/.*)"$', text, re.MULTILINE)
    }
    found = set()
    for text in texts:
        prefix = re.search(r'APIRouter\([^)]*prefix=(?:"([^"]*)"|(\w+))', text)
        before = (prefix[1] or named.get(prefix[2], "")) if prefix else ""
        found |= {before + route for route in decorator.findall(text)}
    return [re.compile(re.sub(r"\\{.*?\\}", "[^/]+", re.escape(route))) for route in sorted(found)]


def _curl(arguments: list[str]) -> str | None:
    """Only addresses of ours are looked at: below /api/ and /youtube/."""
    for argument in arguments:
        if (path := re.match(r"(?:https?://)?[\w.:-]+(/(?:api|youtube)/[^?]*)", argument)) is not None:
            known = any(route.fullmatch(path[1]) for route in routes())
            if not known:
                return f"there is no route {path[1]}"
    return None


def _nomad(arguments: list[str]) -> str | None:
    files = [one for one in arguments if one.startswith("jobs/")]
    if files and (wrong := _files(files)):
        return wrong
    declared = {
        name
        for file in files
        for name in re.findall(r'^variable "(\w+)"', (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE)
    }
    given = [value for option, value in pairwise(arguments) if option == "-var"]
    unknown = [one for one in given if one.partition("=")[0] not in declared]
    return f"{files[0]} has no variable {unknown[0].partition('=')[0]!r}" if unknown else None
