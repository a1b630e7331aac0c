"""Reads the command blocks of the docs: fences, what a block says that it needs, and the commands in it.

A fence of the kind `console` (or `bash`, `sh`) is run by `test_command_blocks.py`, unless the line above it
says why not:

    <!-- needs: server, files -->                what is named in NEEDS has to be there
    <!-- tested: tests/app/test_x.py::test_y --> another test runs it

In a `console` block commands begin with `$ ` (anybody) or `# ` (root), a `\\` at the end goes on in the next
line, and lines of neither kind are what the command prints; `…` stands for anything there.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
NEEDS = {
    "account": "an account at somebody else's service, with its keys",
    "card": "an NVIDIA card",
    "download": "the network: names are looked up, programs or data fetched",
    "farm": "machines, with Nomad or Ansible on them",
    "files": "files of one's own: pictures, recordings, videos, backups, weights",
    "ids": "the id of something that is there; `…` stands for it",
    "minutes": "minutes of this computer",
    "page": "a conversation at the prompt, an editor or a browser",
    "provisioning": "a provisioning API with machines",
    "root": "root, on a computer of one's own",
    "server": "a studio that runs (`soundstage up`), or the same one started in the foreground",
    "tools": "programs of others: nomad, aws, pg_dump, llama-server",
}
SHELLS = ("console", "bash", "sh", "shell")
_FENCE = re.compile(r"^( *)```+(\w*)(.*)$")
_MARK = re.compile(r"^ *<!-- (needs|tested): (.+?) -->$")


@dataclass(slots=True)
class Block:
    """One fence of shell commands. `needs` and `tested` are as its mark says; both empty: it is run."""

    page: str
    line: int
    needs: list[str] = field(default_factory=list)
    tested: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    @property
    def where(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def is_run_here(self) -> bool:
        return not self.needs and not self.tested

    def commands(self) -> list[Command]:
        """Each command with the lines that it is shown to print."""
        found: list[Command] = []
        goes_on = False
        for line in self.lines:
            if goes_on:
                found[-1].text += " " + line.strip().removesuffix("\\")
            elif line.startswith(("$ ", "# ")):
                found.append(Command(line[2:].removesuffix("\\")))
            elif found and line.strip():
                found[-1].printed.append(line)
            goes_on = line.endswith("\\")
        return found


@dataclass(slots=True)
class Command:
    text: str
    printed: list[str] = field(default_factory=list)


def pages() -> list[Path]:
    """All pages with commands for people; the reference is written from the code."""
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "lab/README.md"]
    found.append(ROOT / "farm/device_plugin/README.md")
    return sorted(path for path in found if path.parent.name != "reference" and path.name != "CHANGELOG.md")


def blocks(path: Path) -> Iterator[Block]:
    """The shell blocks of a page. Raises ValueError for commands in a fence of another kind."""
    page = str(path.relative_to(ROOT))
    lines = path.read_text(encoding="utf-8").splitlines()
    opened: tuple[str, Block] | None = None
    for number, line in enumerate(lines, start=1):
        fence = _FENCE.match(line)
        if fence and opened is None:
            opened = (fence[2], Block(page, number))
            if mark := _MARK.match(lines[number - 2]):
                names = [name.strip() for name in mark[2].split(",")]
                setattr(opened[1], mark[1], names)
        elif fence and opened is not None:
            kind, block = opened
            opened = None
            if kind in SHELLS:
                yield block
            elif any(one.lstrip().startswith("$ ") for one in block.lines):
                raise ValueError(f"{block.where}: commands stand in a fence of the kind `console`")
        elif opened is not None:
            opened[1].lines.append(line.strip() if line.startswith("    ") else line)


def inline_commands(path: Path) -> Iterator[tuple[str, str]]:
    """Where and what: commands between backticks in the sentences of a page."""
    page, fenced = str(path.relative_to(ROOT)), False
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if _FENCE.match(line):
            fenced = not fenced
        elif not fenced:
            for code in re.findall(r"`([^`]+)`", line):
                if re.match(r"(soundstage|avatar|make|scripts/\w+) [a-z-]", code):
                    yield f"{page}:{number}", code


def calls(text: str) -> Iterator[list[str]]:
    """The programs that a command line starts, each with its arguments; those within `$(…)` and behind a
    lonely `--` too. Assignments before a program are left out.
    """
    inner = re.compile(r"\$\(([^()]*)\)")
    while found := inner.search(text):
        yield from calls(found[1])
        text = text[: found.start()] + "…" + text[found.end() :]
    lexer = shlex.shlex(text, posix=True, punctuation_chars=";&|<>")
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if word[0] in ";&|":
            yield from _started(words)
            words = []
        else:
            words.append(word)


def _started(words: list[str]) -> Iterator[list[str]]:
    while words and (words[0] in ("sudo", "export") or re.match(r"\w+=", words[0])):
        words = words[1:]
    cut = next((index for index, word in enumerate(words) if word in ("<", ">", ">>")), len(words))
    words = words[:cut]
    if words:
        yield words
    if "--" in words:
        yield from _started(words[words.index("--") + 1 :])


def shows(printed: str, line: str) -> bool:
    """Returns whether one of the printed lines is `line`, where `…` stands for anything."""
    pattern = ".*".join(re.escape(part) for part in re.sub(r" +", " ", line.strip()).split("…"))
    return any(re.fullmatch(pattern, re.sub(r" +", " ", one.strip())) for one in printed.splitlines())
