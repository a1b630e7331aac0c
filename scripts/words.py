"""Checks names and docstrings against the glossary of CONTRIBUTING.md; `scripts/check` calls it.

Three rules, each counted per file:

- `names`: functions, classes, parameters, variables and modules with a banned word as a part (`told_of`).
- `participles`: public functions and methods whose name begins with a participle (`written_to`).
- `docstrings`: docstrings that begin with a relative clause ("What …", "Whether …") in place of a verb.

`scripts/words_baseline.txt` allows what stood there when the rule came. It only shrinks: the check fails
where a file has more than the list allows, and where it has less until `--write` has lowered the list. With
`--write` a file gets more only when others have as many less: names move with the code that they stand in.
"""

from __future__ import annotations

import argparse
import ast
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


BANNED = _set(
    """
    told kept given wanted asked made said heard promised undone liked whoever somebody
    door doors house houses story stories desk desks book books rack racks shelf shelves tower towers flight
    flights errand errands census sight sights glance glances wish wishes ledger ledgers news bell bells
    happening happenings courier couriers owed phrasing phrasings outlook outlooks asker askers shot shots
    trouble troubles anybody everybody mender mending patiently impatient
    """
)
# The field says "in flight" and, of calls that share a result, "single flight"; no other flight is meant.
ALLOWED_PAIRS = frozenset({("in", "flight"), ("single", "flight"), ("single", "flights")})
RELATIVE = re.compile(
    r"(What|Whether|How|Where|Who|Whose|Whoever|Whatever|When|Which|Why|Those|The ones?|As if)\b"
)
IRREGULAR = _set(
    """
    begun bent born bought bound broken brought built caught chosen dealt done drawn driven fallen felt
    forgotten found given gone grown heard held hidden kept known laid led lent lost made meant met paid risen
    said seen sent shown sold spent spoken stolen stood struck swept taken taught thought thrown told
    understood won woken worn wound written
    """
)
# End in "ed" and are no participles.
NOT_PARTICIPLES = _set("bed bleed breed embed exceed feed need proceed red seed shed speed succeed")
RULES = ("names", "participles", "docstrings")
BASELINE = Path("scripts/words_baseline.txt")
# Installed, built or written at run time; the second ones only at the top.
_SKIPPED = _set("node_modules __pycache__ built built.new")
_SKIPPED_AT_TOP = _set("dist out site state")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_TYPESCRIPT = re.compile(
    r"\b(?:const|let|function|class|interface|type)\s+(?P<name>[A-Za-z_]\w*)|^import (?P<imported>[A-Z]\w*) "
)

Counts = Counter[str]


@dataclass(frozen=True, slots=True)
class Finding:
    path: str
    line: int
    rule: str
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line} {self.rule}: {self.text}"


def words_of(name: str) -> list[str]:
    """Splits `snake_case` and `CamelCase` into lower-case words."""
    return [word.lower() for word in _WORD.findall(name)]


def is_banned(name: str) -> bool:
    """Returns whether a part of the name is banned."""
    words = words_of(name)
    return any(
        word in BANNED and (before, word) not in ALLOWED_PAIRS
        for before, word in zip(["", *words], words, strict=False)
    )


def is_participle(word: str) -> bool:
    """Returns whether the word is a past participle, as far as spelling shows it."""
    return word in IRREGULAR or (word.endswith("ed") and len(word) > 3 and word not in NOT_PARTICIPLES)


def python_findings(path: str, text: str) -> Iterator[Finding]:
    """Yields what the rules find in one Python file."""
    tree = ast.parse(text)
    yield from _file_name(path)
    for node in ast.walk(tree):
        for line, name in _bound(node):
            if not name.startswith("test_") and is_banned(name):
                yield Finding(path, line, "names", name)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = (words_of(node.name) or [""])[0]
            if not node.name.startswith("_") and not _is_property(node) and is_participle(first):
                yield Finding(path, node.lineno, "participles", node.name)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module):
            doc = ast.get_docstring(node)
            if doc and RELATIVE.match(doc):
                line = 1 if isinstance(node, ast.Module) else node.lineno
                yield Finding(path, line, "docstrings", doc.splitlines()[0])


def typescript_findings(path: str, text: str) -> Iterator[Finding]:
    """Yields the banned names that a TypeScript file declares, found by their keyword."""
    yield from _file_name(path)
    for number, line in enumerate(text.splitlines(), 1):
        for match in _TYPESCRIPT.finditer(line):
            name = match["name"] or match["imported"]
            if is_banned(name):
                yield Finding(path, number, "names", name)


def _file_name(path: str) -> Iterator[Finding]:
    whole = Path(path)
    name = whole.parent.name if whole.stem in {"__init__", "index"} else whole.name.split(".")[0]
    if not name.startswith("test_") and is_banned(name):
        yield Finding(path, 1, "names", name)


def _bound(node: ast.AST) -> Iterator[tuple[int, str]]:
    """Yields line and name of what the node defines or assigns."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            yield node.lineno, node.name
        case ast.arg():
            yield node.lineno, node.arg
        case ast.Name(ctx=ast.Store()):
            yield node.lineno, node.id
        case ast.Attribute(ctx=ast.Store()):
            yield node.lineno, node.attr
        case ast.alias(asname=str() as name):
            yield node.lineno, name
        case ast.ExceptHandler(name=str() as name) | ast.MatchAs(name=str() as name):
            yield node.lineno, name


def _is_property(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """A property is a value, such as `closed` of a file."""
    names = [ast.unparse(decorator) for decorator in node.decorator_list]
    return any(name.endswith(("property", ".setter", "computed_field")) for name in names)


def sources(tree: Path, suffixes: tuple[str, ...] = (".py", ".ts", ".tsx")) -> list[str]:
    """Lists the source files of a checkout by their path in it, without what is installed or built there."""
    found = []
    for folder, folders, files in os.walk(tree):
        skipped = _SKIPPED | _SKIPPED_AT_TOP if Path(folder) == tree else _SKIPPED
        folders[:] = [name for name in folders if not name.startswith(".") and name not in skipped]
        found += [str((Path(folder) / name).relative_to(tree)) for name in files if name.endswith(suffixes)]
    return sorted(name for name in found if not name.endswith(("schema.d.ts", "api/limits.ts")))


def findings(tree: Path) -> list[Finding]:
    """Returns what the rules find in a checkout."""
    all_found: list[Finding] = []
    for path in sources(tree):
        text = (tree / path).read_text(encoding="utf-8")
        check = python_findings if path.endswith(".py") else typescript_findings
        try:
            all_found += check(path, text)
        except SyntaxError:
            continue  # The linter says so.
    return all_found


def count(found: list[Finding]) -> dict[str, Counts]:
    """Counts findings by file and rule."""
    counts: dict[str, Counts] = {}
    for finding in found:
        counts.setdefault(finding.path, Counter())[finding.rule] += 1
    return counts


def read_baseline(path: Path) -> dict[str, Counts]:
    """Reads the allow-list, one line a file: `farm/tasks.py names=2 docstrings=1`."""
    allowed: dict[str, Counts] = {}
    for line in path.read_text().splitlines() if path.exists() else []:
        name, *pairs = line.split()
        allowed[name] = Counter({rule: int(number) for rule, number in (pair.split("=") for pair in pairs)})
    return allowed


def baseline_text(counts: dict[str, Counts]) -> str:
    """Writes counts in the form that `read_baseline` reads."""
    lines = (
        " ".join([path, *(f"{rule}={of_file[rule]}" for rule in RULES if of_file[rule])])
        for path, of_file in sorted(counts.items())
    )
    return "".join(f"{line}\n" for line in lines)


def totals(counts: dict[str, Counts]) -> Counts:
    """Adds the counts of all files."""
    return sum(counts.values(), Counter())


def differences(counts: dict[str, Counts], allowed: dict[str, Counts]) -> list[tuple[str, str, int, int]]:
    """Returns (file, rule, allowed, found) wherever the two differ."""
    none: Counts = Counter()
    return [
        (path, rule, allowed.get(path, none)[rule], counts.get(path, none)[rule])
        for path in sorted({*counts, *allowed})
        for rule in RULES
        if allowed.get(path, none)[rule] != counts.get(path, none)[rule]
    ]


def problems(found: list[Finding], allowed: dict[str, Counts], *, writing: bool) -> list[str]:
    """Returns a line for each difference that stands in the way, and the findings behind it."""
    counts = count(found)
    before, after = totals(allowed), totals(counts)
    lines = []
    for path, rule, most, number in differences(counts, allowed):
        if number > most and (not writing or after[rule] > before[rule]):
            lines.append(f"{path}: {number} {rule}, {most} allowed. See the glossary in CONTRIBUTING.md.")
            lines += [f"    {finding}" for finding in found if (finding.path, finding.rule) == (path, rule)]
        elif number < most and not writing:
            lines.append(f"{path}: {number} {rule}, {most} allowed. Run `python scripts/words.py --write`.")
    return lines


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--write", action="store_true", help="lower the allow-list to what is there")
    parser.add_argument("--list", metavar="PREFIX", help="print the findings in files below this path")
    parser.add_argument("--tree", type=Path, default=Path(__file__).parent.parent, help="another checkout")
    options = parser.parse_args(arguments)
    found = findings(options.tree)
    if options.list is not None:
        print(*(finding for finding in found if finding.path.startswith(options.list)), sep="\n")
        return 0
    baseline = options.tree / BASELINE
    if lines := problems(found, read_baseline(baseline), writing=options.write):
        print(*lines, sep="\n")
        return 1
    if options.write:
        baseline.write_text(baseline_text(count(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
