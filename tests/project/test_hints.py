"""What our programs say to people names commands, not routes of the REST API."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from command_blocks import calls
from named_commands import fault

ROOT = Path(__file__).parents[2]
ROOMS = (
    "soundstage",
    "policy",
    "farm",
    "pxe",
    "studio",
    "provisioning_api",
    "agent",
    "lab",
    "app",
    "avatar/src",
)
ROUTE = re.compile(r"\b(GET|POST|PUT|PATCH|DELETE) /\w|(?<![\w:/…}.)])/(api|youtube|boot|health|metrics)\b")
WORDS = re.compile(r"[a-z]\w* \w|\w [a-z]")
# Sentence → why it names a route although people read it. Nothing needs it today.
ALLOWED: dict[str, str] = {}


def is_hint_with_route(text: str) -> bool:
    """Whether a text is a sentence with a route in it; a path, or `POST /api/renders` alone, is none."""
    return ROUTE.search(text) is not None and WORDS.search(text) is not None


def sentences(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """All strings but docstrings and parts of others; what is only known later is `…`."""
    skipped: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):
            skipped.add(node.value)
        elif isinstance(node, ast.JoinedStr):
            skipped.update(node.values)
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value
        elif isinstance(node, ast.JoinedStr):
            parts = (str(one.value) if isinstance(one, ast.Constant) else "…" for one in node.values)
            yield node.lineno, "".join(parts)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("`GET /api/projects` lists what there is.", True),
        ("It is answered: /api/chat/sessions/…/turns/… has the text.", True),
        ("POST /api/ready-for-provisioning", False),
        ("/api/machines/…/power", False),
        ("https://studio.example/api/ca.pem has the certificate", False),
        ("`soundstage projects list` lists what there is.", False),
    ],
)
def test_a_route_is_known_in_a_sentence(text: str, expected: bool) -> None:
    assert is_hint_with_route(text) is expected


@cache
def said() -> list[tuple[str, str]]:
    """Where and what: every sentence of the product."""
    found = []
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            if not any(part.startswith(".") for part in path.relative_to(ROOT).parts):
                for line, text in sentences(ast.parse(path.read_text(encoding="utf-8"))):
                    found.append((f"{path.relative_to(ROOT)}:{line}", text))
    return found


def test_no_sentence_of_the_product_names_a_route() -> None:
    found = [f"{where}: {text}" for where, text in said() if is_hint_with_route(text) and text not in ALLOWED]
    assert found == [], "Name a command of `soundstage --help`, or a field of the request."


def test_every_command_that_a_sentence_of_the_product_names_exists() -> None:
    named = [
        (where, code)
        for where, text in said()
        for code in re.findall(r"`((?:soundstage|avatar|make|scripts/\w+) [^`]+)`", text)
    ]
    assert len(named) > 80
    wrong = [
        f"{where}: {code}: {found}"
        for where, code in named
        for words in calls(code)
        if (found := fault(words, whole=False)) is not None
    ]
    assert wrong == []
