"""Reads every error code out of the sources, for the page of error codes and its test.

A code is declared where it is raised; there is no list. Reading sources and not importing them also reaches
the worker, whose engines cannot be imported here.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from soundstage.errors import tree

_CODE = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)+")

# The classes that carry codes, with their status. The worker knows no HTTP; `Failed` is the line by which it
# ends, and which the farm writes in its name. `Refused` ends a publication.
_OURS: Mapping[str, int | None] = {
    "Failed": None,
    "Refused": None,
    **{
        name: found.default_status
        for name, found in vars(tree).items()
        if isinstance(found, type) and issubclass(found, tree.SoundstageError)
    },
}
_WORKERS: Mapping[str, int | None] = dict.fromkeys(
    ("AvatarError", "InvalidInput", "Unavailable", "Cancelled", "Failed")
)


@dataclass(frozen=True, slots=True)
class DeclaredCode:
    """A code as one place in the sources raises it; `…` stands for what is only known then."""

    code: str
    status: int | None
    message: str
    hint: str
    where: str


@dataclass(frozen=True, slots=True)
class HiddenCode:
    """A raise whose code is not written where it is raised, and which the catalogue therefore cannot read."""

    where: str
    source: str


def read_codes(packages: Iterable[Path]) -> tuple[list[DeclaredCode], list[HiddenCode]]:
    """The codes of all modules below `packages` (folders), sorted; and the raises that hide theirs."""
    declared: list[DeclaredCode] = []
    hidden: list[HiddenCode] = []
    for package in packages:
        for path in sorted(package.rglob("*.py")):
            inside = path.relative_to(package)
            if any(part.startswith(".") for part in inside.parts):
                # An environment of a project within: thousands of files that are not ours.
                continue
            name = f"{package.name}/{inside.as_posix()}"
            found = list(_Module(path, name).findings())
            declared += [one for one in found if isinstance(one, DeclaredCode)]
            hidden += [one for one in found if isinstance(one, HiddenCode)]
    return sorted(declared, key=lambda found: (found.code, found.where)), hidden


def error_reference(packages: Iterable[Path]) -> str:
    """Markdown: one table per family of codes (what stands before the dot), each code once: as it is raised
    where it has a status, and a hint, if anywhere.
    """
    declared, _ = read_codes(packages)
    by_code: dict[str, DeclaredCode] = {}
    for found in sorted(declared, key=lambda found: (found.code, found.status is None, not found.hint)):
        by_code.setdefault(found.code, found)
    lines: list[str] = []
    family = ""
    for found in by_code.values():
        if found.code.split(".")[0] != family:
            family = found.code.split(".")[0]
            lines += [
                f"\n## {family}\n",
                "| code | status | what happened | what to do |",
                "|---|---|---|---|",
            ]
        status = found.status or "–"
        lines.append(f"| `{found.code}` | {status} | {_cell(found.message)} | {_cell(found.hint)} |")
    return "\n".join(lines).strip() + "\n"


class _Module:
    """One source file and what it raises."""

    def __init__(self, path: Path, name: str) -> None:
        self._tree = ast.parse(path.read_text(encoding="utf-8"))
        self._name = name
        self._statuses = dict(_WORKERS if name.startswith("avatar/") else _OURS)
        self._constants: dict[str, str] = {}
        for node in self._tree.body:
            match node:
                case ast.Assign(targets=[ast.Name(id=target)], value=ast.Constant(value=str(text))):
                    self._constants[target] = text
        self._add_subclasses()

    def findings(self) -> Iterator[DeclaredCode | HiddenCode]:
        """Every construction of an error class in this file."""
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Call) and (kind := self._kind(node.func)) is not None:
                yield from self._read(node, kind)

    def _add_subclasses(self) -> None:
        for node in ast.walk(self._tree):
            if isinstance(node, ast.ClassDef):
                for base in node.bases:
                    if isinstance(base, ast.Name) and base.id in self._statuses:
                        self._statuses[node.name] = self._statuses[base.id]

    def _kind(self, function: ast.expr) -> str | None:
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", None)
        return name if name in self._statuses else None

    def _read(self, call: ast.Call, kind: str) -> Iterator[DeclaredCode | HiddenCode]:
        arguments = dict(zip(("code", "message", "hint", "status"), call.args, strict=False))
        arguments.update({keyword.arg: keyword.value for keyword in call.keywords if keyword.arg is not None})
        where = f"{self._name}:{call.lineno}"
        if "code" not in arguments:
            # A subclass that brings its own code, or a call that passes everything on (`Failed(**fields)`).
            return
        status = self._statuses[kind]
        match arguments.get("status"):
            case ast.Constant(value=int(number)):
                status = number
        codes = list(self._strings(arguments["code"]))
        for code in codes:
            message, hint = (self._text(arguments.get(name)) for name in ("message", "hint"))
            yield DeclaredCode(code, status, message, hint, where)
        # `Failed(code=error.code)` passes on a code that was written where that error was raised.
        if not codes and not isinstance(arguments["code"], ast.Attribute):
            yield HiddenCode(where, ast.unparse(call.func))

    def _strings(self, node: ast.expr) -> Iterator[str]:
        match node:
            case ast.Constant(value=str(text)) if _CODE.fullmatch(text):
                yield text
            case ast.Name(id=name) if _CODE.fullmatch(self._constants.get(name, "")):
                yield self._constants[name]
            case ast.IfExp(body=yes, orelse=no):
                yield from self._strings(yes)
                yield from self._strings(no)

    def _text(self, node: ast.expr | None) -> str:
        match node:
            case None:
                return ""
            case ast.Constant(value=str(text)):
                return text
            case ast.Name(id=name) if name in self._constants:
                return self._constants[name]
            case ast.JoinedStr(values=parts):
                return "".join(self._text(part) for part in parts)
            case ast.BinOp(op=ast.Add(), left=left, right=right):
                return self._text(left) + self._text(right)
            case ast.IfExp(body=yes, orelse=no):
                # Of two wordings the longer says more.
                return max(self._text(yes), self._text(no), key=len)
            case _:
                return "…"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
