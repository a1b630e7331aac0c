"""Reads what the reader learns from: `phrasings.*.yaml` beside the tools, here and in `varied/`.

An argument is marked as in `have [Vera](persona) read [doors open at nine](script)`, and one with a fixed set
of values as in `[upright](shape=vertical)`. `several.*.yaml` has sentences
with several wishes, and their parts.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from agent.sentences import read_yaml

SLOT_KINDS: Mapping[str, str] = {
    "persona": "persona", "project": "project", "scene": "scene", "before": "scene", "after": "scene",
    "render": "render", "video": "render", "machine": "machine", "machines": "machine", "node": "machine",
    "job": "job", "playbook": "playbook", "account": "channel", "name": "snapshot", "other": "snapshot",
    "run": "run",
}  # fmt: skip
"""Which kind of thing an argument names."""
NEW_NAMES = frozenset(
    {"snapshots.save", "create_persona.create", "create_persona.change", "change_machine.accept"}
)
"""Intents whose `name` does not exist yet."""
VARIED = "varied"
"""The folder of sentences that were written by people who saw neither the other ones nor the cases."""
_MARKED = re.compile(r"\[([^\[\]]*)\]\((\w+)(?:=([^()]*))?\)")


@dataclass(frozen=True, slots=True)
class Span:
    """A marked argument: its name, its place in the sentence, and its value where that is another word."""

    slot: str
    start: int
    end: int
    value: str | None = None


@dataclass(frozen=True, slots=True)
class Example:
    """One sentence of the corpus."""

    intent: str
    language: str
    text: str
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Several:
    """A sentence and its parts, which each ask for something; one where it only looks like several."""

    text: str
    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Corpus:
    """Everything that the reader learns from. `joints`: what joins several wishes, by language."""

    examples: tuple[Example, ...]
    several: tuple[Several, ...] = ()
    joints: Mapping[str, Sequence[str]] = field(default_factory=dict)


def parse_example(intent: str, language: str, marked: str) -> Example:
    """Returns the sentence without its marks, and where they were."""
    parts: list[str] = []
    spans: list[Span] = []
    length = end = 0
    for match in _MARKED.finditer(marked):
        before = marked[end : match.start()]
        parts += (before, match[1])
        start = length + len(before)
        length = start + len(match[1])
        spans.append(Span(match[2], start, length, match[3]))
        end = match.end()
    return Example(intent, language, "".join((*parts, marked[end:])), tuple(spans))


def corpus_files() -> list[Path]:
    """Returns the files of the corpus, in a fixed order."""
    folder = Path(str(files("agent")))
    return sorted([*folder.rglob("phrasings.*.yaml"), *folder.rglob("several.*.yaml")])


def read_corpus(paths: Sequence[Path] | None = None) -> Corpus:
    """Returns the corpus. The language is in the name of the file: `phrasings.de.yaml`."""
    examples: list[Example] = []
    several: list[Several] = []
    joints: dict[str, Sequence[str]] = {}
    for path in corpus_files() if paths is None else paths:
        name, language, _ = path.name.split(".")
        content = read_yaml(path)
        if name == "phrasings":
            examples += (
                parse_example(intent, language, str(one)) for intent, some in content.items() for one in some
            )
            continue
        joints[language] = content["joints"]
        several += (Several(one["say"], tuple(one["parts"])) for one in content["several"])
        several += (Several(one, (one,)) for one in content["single"])
    return Corpus(tuple(examples), tuple(several), joints)


def slots_of(examples: Sequence[Example]) -> dict[str, set[str]]:
    """Returns the arguments that are marked for each intent."""
    found: dict[str, set[str]] = defaultdict(set)
    for example in examples:
        found[example.intent].update(span.slot for span in example.spans)
    return dict(found)


def lexicon_of(examples: Sequence[Example]) -> dict[str, dict[str, str]]:
    """Returns the values that the corpus gives to words, by argument."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for example in examples:
        for span in example.spans:
            if span.value is not None:
                words = " ".join(example.text[span.start : span.end].lower().split())
                found[span.slot].setdefault(words, span.value)
    return dict(found)
