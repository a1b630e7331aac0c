"""Mutates covered lines of a checkout and counts how many mutants its tests catch.

scripts/bench mutants [--tree CHECKOUT] [--rooms "policy farm …"] [--number 100] [--seed 18] [--json FILE]

Runs the short tests of the rooms once under coverage, with one context per test, and keeps the result in
build/mutants of the tree. Then draws covered lines by the seed, changes one expression or statement of each,
and runs only the tests that reach the line, the most specific first, for at most three minutes. A mutant is
caught when a test fails that passes on the unchanged file; a test that fails there too, or a list of tests
that pytest cannot collect there, leaves it undecided. So do tests that take longer together; a test that
hangs fails. The share of caught mutants among all, undecided ones too, is printed with its standard error,
sqrt(p * (1 - p) / n).

Results are kept in build/mutants of the tree after each mutant; the same draw goes on where it was stopped.
The tree has to be clean, and nothing else may use it meanwhile. Needs pytest-cov in its environment:
`uv pip install --python .venv/bin/python pytest-cov`.
"""

from __future__ import annotations

import argparse
import ast
import copy
import ctypes
import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.results import add_figure, add_json_option, write_figures

ROOT = Path(__file__).parents[1]
ROOMS = "policy farm soundstage studio provisioning_api"
LIMIT_S = 180
SHORT = "not slow and not gpu and not torch and not browser"
RC = """[run]
concurrency = thread,greenlet
data_file = {data}
source = {rooms}
disable_warnings = no-data-collected,module-not-measured
"""
COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
    ast.Mod: ast.Mult,
}
Tests = dict[str, dict[int, list[str]]]


@dataclass(frozen=True, slots=True)
class Mutant:
    """One changed expression or statement; `start` and `end` are byte offsets in the file."""

    path: str
    line: int
    kind: str
    before: str
    after: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Result:
    """The verdict on one mutant: caught, missed or undecided, and the test or output behind it."""

    mutant: Mutant
    verdict: str
    test: str
    seconds: float


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tree", type=Path, default=ROOT, help="the checkout to mutate; it has to be clean")
    parser.add_argument("--rooms", default=ROOMS)
    parser.add_argument("--number", type=int, default=100)
    parser.add_argument("--seed", type=int, default=18)
    parser.add_argument("--only-coverage", action="store_true", help="stop after the coverage run")
    add_json_option(parser)
    arguments = parser.parse_args()
    tree = arguments.tree.resolve()
    if _git(tree, "status", "--porcelain", "--untracked-files=no"):
        sys.exit(f"{tree} is not clean: mutants are written into its files. Use a worktree of its own.")
    rooms = arguments.rooms.split()
    tests = tests_by_line(tree, rooms)
    if arguments.only_coverage:
        return
    mutants = sample_mutants(tree, rooms, tests, arguments.number, arguments.seed)
    sizes = Counter(test for lines in tests.values() for names in lines.values() for test in names)
    _adopt_orphans()
    stored = tree / "build/mutants" / f"results-{arguments.seed}.json"
    results = _stored_results(stored, mutants)
    for number, mutant in enumerate(mutants[len(results) :], len(results) + 1):
        names = sorted(tests[mutant.path][mutant.line], key=lambda name: (sizes[name], name))
        results.append(result := run_mutant(tree, mutant, names))
        change = f"{' '.join(mutant.before.split())[:60]} -> {' '.join(mutant.after.split())[:60]}"
        print(
            f"{number:4} {result.verdict:9} {result.seconds:5.0f} s  {mutant.path}:{mutant.line}  {change}",
            flush=True,
        )
        stored.write_text(json.dumps([asdict(one) for one in results], indent=1) + "\n")
    _print_share(results, tree, arguments)


def _print_share(results: list[Result], tree: Path, arguments: argparse.Namespace) -> None:
    verdicts = Counter(result.verdict for result in results)
    share = verdicts["caught"] / len(results)
    error = math.sqrt(share * (1 - share) / len(results))
    commit = _git(tree, "rev-parse", "--short=8", "HEAD")
    print(
        f"{commit}: {dict(verdicts)}; caught {share:.0%} ± {error:.0%} "
        f"(seed {arguments.seed}, {arguments.rooms})"
    )
    add_figure(f"mutants caught at {commit}", share * 100, "%")
    add_figure(f"standard error of the share at {commit}", error * 100, "%")
    write_figures("project", arguments.json)


def _stored_results(path: Path, mutants: list[Mutant]) -> list[Result]:
    """Returns the results of the first mutants of this draw; none where the file is of another one."""
    if not path.exists():
        return []
    found = [Result(**{**one, "mutant": Mutant(**one["mutant"])}) for one in json.loads(path.read_text())]
    same = [one.mutant for one in found] == mutants[: len(found)]
    return found if same else []


def _adopt_orphans() -> None:
    """Lets servers that killed tests leave behind become children of this process (prctl 36)."""
    if ctypes.CDLL(None, use_errno=True).prctl(36, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl PR_SET_CHILD_SUBREAPER")


def _end_orphans() -> None:
    """Kills all children: a Nomad agent of a killed test would take the time of those that follow."""
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")
    while pids := children.read_text().split():
        for pid in map(int, pids):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)


def tests_by_line(tree: Path, rooms: list[str]) -> Tests:
    """Returns the tests that run each line, by file and line; runs them under coverage unless the tree has
    the result.
    """
    folder = tree / "build/mutants"
    table = folder / "lines.json"
    if not table.exists():
        folder.mkdir(parents=True, exist_ok=True)
        rc, data = folder / "coveragerc", folder / "coverage"
        rc.write_text(RC.format(data=data, rooms=",".join(rooms)))
        for room in rooms:
            command = [tree / ".venv/bin/python", "-m", "pytest", "-q", f"tests/{room}", "-m", SHORT, "--cov"]
            command += [f"--cov-config={rc}", "--cov-context=test", "--cov-append", "--cov-report="]
            subprocess.run([*command, "-p", "no:cacheprovider"], cwd=tree, env=_environment(), check=False)
        program = (
            "import coverage, json; data = coverage.CoverageData(basename='coverage'); data.read();"
            "print(json.dumps({file: {line: [name.rpartition('|')[0] for name in names if name]"
            " for line, names in data.contexts_by_lineno(file).items()} for file in data.measured_files()}))"
        )
        listed = subprocess.run(
            [tree / ".venv/bin/python", "-c", program], cwd=folder, check=True, capture_output=True, text=True
        )
        table.write_text(listed.stdout)
    found: dict[str, dict[str, list[str]]] = json.loads(table.read_text())
    return {
        str(Path(file).relative_to(tree)): {
            int(line): sorted(set(names)) for line, names in lines.items() if names
        }
        for file, lines in found.items()
        if Path(file).is_relative_to(tree)
    }


def sample_mutants(tree: Path, rooms: list[str], tests: Tests, number: int, seed: int) -> list[Mutant]:
    """Returns `number` mutants of different covered lines, the same ones for the same tree and seed."""
    by_line: dict[tuple[str, int], list[Mutant]] = {}
    for path in sorted(tests):
        if path.split("/")[0] in rooms:
            for mutant in mutants_of(path, (tree / path).read_bytes()):
                if mutant.line in tests[path]:
                    by_line.setdefault((path, mutant.line), []).append(mutant)
    rng = random.Random(seed)  # noqa: S311 - the same draw each time
    return [rng.choice(by_line[line]) for line in rng.sample(sorted(by_line), min(number, len(by_line)))]


def mutants_of(path: str, source: bytes) -> Iterator[Mutant]:
    """Yields each change of each expression and statement that does not belong to a type or a docstring."""
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))

    def at(line: int, column: int) -> int:
        return starts[line - 1] + column

    for node in _mutable_nodes(ast.parse(source)):
        for kind, changed in _changes(node):
            start = at(node.lineno, node.col_offset)
            end = at(node.end_lineno or node.lineno, node.end_col_offset or 0)
            before = source[start:end].decode()
            after = ast.unparse(ast.fix_missing_locations(changed))
            if isinstance(changed, ast.expr):
                after = f"({after})"
            elif "\n" in after:
                continue
            yield Mutant(path, node.lineno, kind, before, after, start, end)


def _mutable_nodes(node: ast.AST) -> Iterator[ast.expr | ast.stmt]:
    """Yields the nodes below whose change alters behaviour: no annotations, docstrings, f-strings or
    imports.
    """
    for field, value in ast.iter_fields(node):
        if field in {"annotation", "returns", "type_params", "decorator_list"}:
            continue
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or isinstance(
                child, ast.JoinedStr | ast.Import | ast.ImportFrom
            ):
                continue
            if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
                continue
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
                continue
            if isinstance(child, ast.expr | ast.stmt):
                yield child
            yield from _mutable_nodes(child)


def _changes(node: ast.expr | ast.stmt) -> Iterator[tuple[str, ast.expr | ast.stmt]]:
    changed = copy.deepcopy(node)
    match node, changed:
        case ast.Compare(ops=[operator]), ast.Compare() if type(operator) in COMPARISONS:
            changed.ops = [COMPARISONS[type(operator)]()]
            yield "comparison", changed
        case ast.BoolOp(), ast.BoolOp():
            changed.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
            yield "and/or", changed
        case ast.UnaryOp(op=ast.Not()), _:
            yield "not", copy.deepcopy(node.operand)
        case ast.BinOp(), ast.BinOp() if type(node.op) in OPERATORS:
            changed.op = OPERATORS[type(node.op)]()
            yield "operator", changed
        case ast.Constant(value=bool(value)), _:
            yield "constant", ast.Constant(not value)
        case ast.Constant(value=int(value) | float(value)), _:
            yield "constant", ast.Constant(value + 1)
        case ast.Constant(value=str(value)), _ if value:
            yield "constant", ast.Constant(value + "XX")
        case ast.Return(value=ast.expr() as value), _ if not _is_none(value):
            yield "return", ast.Return(ast.Constant(None))
        case ast.Expr(value=ast.Call() | ast.Await()), _:
            yield "call", ast.Pass()
        case ast.Assign(value=value), ast.Assign() if not _is_none(value):
            changed.value = ast.Constant(None)
            yield "assignment", changed
        case ast.IfExp(), ast.IfExp():
            changed.test = ast.UnaryOp(ast.Not(), changed.test)
            yield "condition", changed
        case _:
            pass


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def run_mutant(tree: Path, mutant: Mutant, names: list[str]) -> Result:
    """Writes the mutant, runs the tests that reach it until one fails, and restores the file."""
    path = tree / mutant.path
    source = path.read_bytes()
    begun = time.monotonic()
    try:
        path.write_bytes(source[: mutant.start] + mutant.after.encode() + source[mutant.end :])
        status, output = _run_tests(tree, names)
    finally:
        path.write_bytes(source)
    verdict, test = _judge(tree, names, status, output)
    return Result(mutant, verdict, test, round(time.monotonic() - begun, 1))


def _judge(tree: Path, names: list[str], status: int | None, output: str) -> tuple[str, str]:
    """Returns the verdict, and the failed test or the end of the output. Runs a failed test, or the
    collection where no test ran, once more on the unchanged tree.
    """
    if status is None:
        return "undecided", ""
    if status == 0:
        return "missed", ""
    lines = [line.removeprefix("FAILED ").removeprefix("ERROR ") for line in output.splitlines()]
    failed = [name for name in names for line in lines if line == name or line.startswith(f"{name} - ")]
    again = _run_tests(tree, failed[:1]) if failed else _run_tests(tree, names, "--collect-only")
    if again[0] == 0:
        return "caught", failed[0] if failed else output[-200:]
    return "undecided", again[1][-200:]


def _run_tests(tree: Path, names: list[str], *options: str) -> tuple[int | None, str]:
    """Returns the exit status of pytest, None after the limit, and its output.

    Runs each room by itself, as scripts/test does: helper modules of two rooms may have one name. Stops
    behind the first room whose tests fail.
    """
    until = time.monotonic() + LIMIT_S
    rooms: dict[str, list[str]] = {}
    for name in names:
        rooms.setdefault("/".join(name.split("/")[:2]), []).append(name)
    status: int | None = 0
    output = ""
    for some in rooms.values():
        status, output = _run_room(tree, some, until, *options)
        if status != 0:
            break
    return status, output


def _run_room(tree: Path, names: list[str], until: float, *options: str) -> tuple[int | None, str]:
    listed = tree / "build/mutants/tests.txt"
    listed.write_text("\n".join(names) + "\n")
    command = [str(tree / ".venv/bin/python"), "-m", "pytest", "-x", "-q", "--tb=no", "-rfE"]
    command += ["-p", "no:cacheprovider", "--timeout=120", *options, f"@{listed}"]
    program = subprocess.Popen(
        command, cwd=tree, env=_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip
    try:
        output = program.communicate(timeout=max(0.1, until - time.monotonic()))[0]
    except subprocess.TimeoutExpired:
        return None, ""
    finally:
        if program.poll() is None:
            os.killpg(program.pid, signal.SIGKILL)
            program.wait()
        _end_orphans()
    return program.returncode, output


def _environment() -> dict[str, str]:
    # A module whose source changes within a second of another change has to be compiled again.
    return {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}


def _git(tree: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(tree), *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()


if __name__ == "__main__":
    main()
