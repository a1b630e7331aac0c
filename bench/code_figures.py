"""Lines, names and repeated mechanisms of a checkout, room by room; two checkouts compare before and after.

scripts/bench code_figures [--tree CHECKOUT] [--json]

Reads sources only and starts nothing. What it counts beside lines and the findings of `scripts/words.py`:

- back-offs: functions that wait and grow or spread the wait (`2 ** n`, `min(wait * 2, …)`, `random.uniform`)
- loops: `while` loops of coroutines that catch errors and go on
- HTTP: places that construct a client or connection (httpx, requests, http.client, urllib.request)
- sentences: asserts of tests that hold a whole sentence (40 characters and a full stop)
- wide: functions with more than eight parameters; hubs: modules with more than twenty imports of ours
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT / "scripts"))

from words import RULES, findings, sources  # noqa: E402

OURS = frozenset(
    {"soundstage", "policy", "farm", "pxe", "studio", "provisioning_api", "agent", "lab", "app", "avatar"}
)
OUTSIDE = frozenset({"tests", "bench", "scripts"})
CLIENTS = re.compile(
    r"(httpx\.(Async)?(Client|HTTPTransport)|requests\.\w+|aiohttp\.ClientSession|http\.client\.HTTPS?Connection"
    r"|urllib\.request\.(urlopen|build_opener))$"
)
WAITS = re.compile(r"sleep|wait|pause|retry|delay|back_?off", re.IGNORECASE)
SENTENCE = re.compile(r"(?=.* )(?=.{41}).*\.(\s|$)", re.DOTALL)
COLUMNS = ("files", "lines", *RULES, "backoffs", "loops", "http", "wide", "hubs", "sentences")


@dataclass(slots=True)
class Figures:
    """Counts by room, names by length, and where the repeated mechanisms stand."""

    rooms: dict[str, Counter[str]] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    places: dict[str, list[str]] = field(default_factory=dict)

    def add(self, room: str, column: str, place: str | None = None, number: int = 1) -> None:
        self.rooms.setdefault(room, Counter())[column] += number
        if place and is_product(room):
            self.places.setdefault(column, []).append(place)


def is_product(room: str) -> bool:
    return room.split("/")[0] not in OUTSIDE


def room_of(path: str) -> str:
    parts = path.split("/")
    return "/".join(parts[:2]) if parts[0] == "tests" and len(parts) > 2 else parts[0]


def read(tree: Path) -> Figures:
    """Counts everything in one checkout."""
    figures = Figures()
    for path in sources(tree):
        text, room = (tree / path).read_text(encoding="utf-8"), room_of(path)
        figures.add(room, "files")
        figures.add(room, "lines", number=len(text.splitlines()))
        if path.endswith(".py"):
            count_mechanisms(figures, path, ast.parse(text))
    for finding in findings(tree):
        figures.add(room_of(finding.path), finding.rule)
    return figures


def count_mechanisms(figures: Figures, path: str, tree: ast.Module) -> None:
    """Counts what one Python file does by itself and what another file may do too."""
    room = room_of(path)
    if sum(1 for name in imports_of(tree) if name.split(".")[0] in OURS) > 20:
        figures.add(room, "hubs", path)
    for node in ast.walk(tree):
        place = f"{path}:{getattr(node, 'lineno', 1)}"
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if is_product(room):
                figures.names.add(node.name)
            arguments = node.args
            if len([*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]) > 8:
                figures.add(room, "wide", f"{place} {node.name}")
            if WAITS.search(ast.unparse(node)) and any(grows(inner) for inner in own_nodes(node)):
                figures.add(room, "backoffs", f"{place} {node.name}")
            if isinstance(node, ast.AsyncFunctionDef):
                for inner in own_nodes(node):
                    if isinstance(inner, ast.While) and any(isinstance(x, ast.Try) for x in inner.body):
                        figures.add(room, "loops", f"{path}:{inner.lineno} {node.name}")
        elif isinstance(node, ast.ClassDef) and is_product(room):
            figures.names.add(node.name)
        elif isinstance(node, ast.Call) and CLIENTS.match(ast.unparse(node.func)):
            figures.add(room, "http", place)
        elif isinstance(node, ast.Assert) and any(map(SENTENCE.match, strings_of(node))):
            figures.add(room, "sentences", place)


def own_nodes(function: ast.AST) -> list[ast.AST]:
    """Returns the nodes of a function, without those of functions inside it."""
    nodes: list[ast.AST] = []
    for child in ast.iter_child_nodes(function):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            nodes += [child, *own_nodes(child)]
    return nodes


def strings_of(node: ast.AST) -> list[str]:
    """Returns the texts below a node."""
    found = (inner.value for inner in ast.walk(node) if isinstance(inner, ast.Constant))
    return [value for value in found if isinstance(value, str)]


def imports_of(tree: ast.Module) -> set[str]:
    """Returns the modules that a file imports."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def grows(node: ast.AST) -> bool:
    """Returns whether the expression lets a wait grow or spreads it."""
    match node:
        case ast.BinOp(left=ast.Constant(value=2 | 2.0), op=ast.Pow(), right=ast.expr() as power):
            return not isinstance(power, ast.Constant)
        case ast.Call(func=ast.Name(id="min"), args=[first, *_]):
            return (
                isinstance(first, ast.BinOp) and isinstance(first.op, ast.Mult) and "2" in ast.unparse(first)
            )
        case ast.Call(func=ast.Attribute(attr="uniform", value=ast.Name(id="random" | "chance"))):
            return True
    return False


def as_json(figures: Figures) -> dict[str, Any]:
    """Returns the figures with their sums: of the product, and of tests, bench and scripts."""
    product = sum((counts for room, counts in figures.rooms.items() if is_product(room)), Counter[str]())
    others = sum((counts for room, counts in figures.rooms.items() if not is_product(room)), Counter[str]())
    rooms = {**dict(sorted(figures.rooms.items())), "product": product, "tests and tools": others}
    return {
        "rooms": {room: {column: counts[column] for column in COLUMNS} for room, counts in rooms.items()},
        "longest_names": sorted(figures.names, key=lambda name: (-len(name), name))[:20],
        "names_over_35": sum(len(name) > 35 for name in figures.names),
        "places": {column: sorted(places) for column, places in sorted(figures.places.items())},
    }


def table(found: dict[str, Any]) -> str:
    """Lays the figures out for people."""
    rows = [["room", *COLUMNS], *([room, *map(str, row.values())] for room, row in found["rooms"].items())]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [" ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    for column in ("backoffs", "loops", "http"):
        lines += [
            "",
            f"{column} of the product:",
            *(f"  {place}" for place in found["places"].get(column, [])),
        ]
    longest = [f"  {len(name)} {name}" for name in found["longest_names"]]
    return "\n".join(
        [*lines, "", f"names over 35 characters: {found['names_over_35']}; the longest:", *longest]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--tree", type=Path, default=ROOT, help="the checkout to read; this one by default")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = as_json(read(options.tree))
    print(json.dumps(found, indent=1) if options.json else table(found))


if __name__ == "__main__":
    main()
