"""The sentence grammar: matches utterances against `agent/grammar/*.yaml`; called by the Brain."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from hassil import Intents, merge_dict, recognize_all
from hassil.models import MatchEntity

from agent.sentences import LOADER
from agent.tools.record import rule_name
from agent.understanding.literals import SCRIPT_MARK, Cut, Masked, mask, script_cuts
from agent.understanding.slots import has_second_imperative, misshapen
from agent.understanding.suggestions import closest_examples
from agent.understanding.wording import Wording

COMMAND_CHARS = 600
"""Sentences without a script are commands; a longer one is not tried."""

NAME_WORDS = 4
CACHED = 512
CACHED_CHARS = 200
"""The meanings of this many sentences, up to this length, are cached."""
EXAMPLE_SCRIPT = "Hello"
SUGGESTED_SCRIPT_CHARS = 500


@dataclass(frozen=True, slots=True)
class HelpEntry:
    """One thing people can ask for, in words. `opening`: each example works where there is nothing yet, so
    that the page may show it at an empty start.
    """

    intent: str
    tool: str | None
    purpose: str
    examples: tuple[str, ...]
    opening: bool


@dataclass(frozen=True, slots=True)
class Understanding:
    """The meaning of an utterance: the intent, its tool, and the arguments as typed."""

    intent: str
    tool: str | None
    arguments: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NotUnderstood:
    """No sentence matched; `suggestions` are examples close to what was said. `several`: one
    would have, without its second imperative.
    """

    suggestions: tuple[str, ...]
    several: bool = False


class Grammar:
    """All sentence templates. They do not change after loading, so sessions share them."""

    def __init__(self, intents: Intents) -> None:
        self._intents = intents
        self.help = tuple(_help_entries(intents))
        self._wordings = _wordings(intents)
        self._understand_cached = lru_cache(maxsize=CACHED)(self._understand)

    @classmethod
    def load(cls) -> Grammar:
        """Reads the templates that come with the package. All grammars of a process share them."""
        return cls(_packaged_templates())

    def read_all(self) -> None:
        """Reads every template now, a tenth of a second's work, and not with the first sentences."""
        for intent in self._intents.intents.values():
            for some in intent.data:
                _ = some.sentences

    def understand(self, utterance: str) -> Understanding | NotUnderstood:
        """Returns the meaning. The earliest script wins, so text inside a script is never a command."""
        return (self._understand_cached if len(utterance) <= CACHED_CHARS else self._understand)(utterance)

    def _understand(self, utterance: str) -> Understanding | NotUnderstood:
        script = ""
        for cut in script_cuts(utterance):
            found = self._match_with_script(cut)
            if found is not None:
                return found
            script = script or cut.script
        command = utterance.strip()
        if len(command) <= COMMAND_CHARS:
            found = self._match(mask(command))
            if found is not None:
                return found
        close = closest_examples(command[:COMMAND_CHARS], self.examples())
        return NotUnderstood(tuple(_in_their_words(example, script) for example in close))

    def wording(self, rule: str) -> Wording:
        """Returns how people ask for a tool, or for one `tool.action`; nothing is known of others."""
        return self._wordings.get(rule, Wording())

    def examples(self) -> Iterable[str]:
        return (example for entry in self.help for example in entry.examples)

    def _match_with_script(self, cut: Cut) -> Understanding | NotUnderstood | None:
        return self._match(mask(cut.before, cut.after), script=cut.script)

    def _match(self, masked: Masked, *, script: str | None = None) -> Understanding | NotUnderstood | None:
        """`NotUnderstood` where only a second wish in a name kept it from being understood."""
        several = False
        for result in recognize_all(masked.text, self._intents):
            slots = {
                name: masked.restore(_as_typed(masked.text, entity.text_span))
                if entity.is_wildcard
                else str(entity.value)
                for name, entity in result.entities.items()
            }
            if not _is_an_identifier(result.entities.get("identifier"), masked) or misshapen(slots):
                continue
            named = (
                (name, _as_typed(masked.text, one.text_span))
                for name, one in result.entities.items()
                if one.is_wildcard
            )
            if has_second_imperative(named):
                several = True
                continue
            right_script = _script_is_where_it_belongs(slots, script is not None)
            if right_script and _is_a_name(slots.get("persona", "")):
                metadata = result.intent_data.metadata or {}
                names = metadata.get("arguments", {})
                if script is not None:
                    slots["script"] = script
                spoken = {names.get(slot, slot): value for slot, value in slots.items()}
                arguments = {**metadata.get("fixed", {}), **spoken}
                return Understanding(result.intent.name, metadata.get("tool"), arguments)
        return NotUnderstood((), several=True) if several else None


@cache
def _packaged_templates() -> Intents:
    """Reads every `agent/grammar/*.yaml`; hassil parses each template when a sentence first meets it."""
    merged: dict[str, Any] = {}
    for path in sorted(Path(str(files("agent") / "grammar")).glob("*.yaml")):
        merge_dict(merged, yaml.load(path.read_text(encoding="utf-8"), LOADER))  # noqa: S506
    return Intents.from_dict(merged)


def _as_typed(text: str, span: tuple[int, int] | None) -> str:
    return text[span[0] : span[1]] if span else ""


def _is_an_identifier(entity: MatchEntity | None, masked: Masked) -> bool:
    """Returns what stands for an id is one literal of its own and no other words."""
    return entity is None or _as_typed(masked.text, entity.text_span).strip() in masked.marks


def _script_is_where_it_belongs(slots: Mapping[str, str], expected: bool) -> bool:
    """The mark is the whole script slot when a script was cut out, and nowhere else."""
    if slots.get("script") != (SCRIPT_MARK if expected else None):
        return False
    return not any(SCRIPT_MARK in value for name, value in slots.items() if name != "script")


def _in_their_words(example: str, script: str) -> str:
    """The example with the script that people wanted spoken, so that a suggestion can be sent as it is."""
    fits = script and len(script) <= SUGGESTED_SCRIPT_CHARS and example.endswith(f": {EXAMPLE_SCRIPT}")
    return example.removesuffix(EXAMPLE_SCRIPT) + script if fits else example


def _is_a_name(text: str) -> bool:
    """Half a sentence before "says" is not somebody's name but a command that was misspelt."""
    return len(text.split()) <= NAME_WORDS


def _help_entries(intents: Intents) -> Iterator[HelpEntry]:
    for intent in intents.intents.values():
        for data in intent.data:
            metadata = data.metadata or {}
            yield HelpEntry(
                intent.name,
                metadata.get("tool"),
                metadata.get("help", ""),
                tuple(metadata.get("examples", ())),
                bool(metadata.get("opening", False)),
            )


def _wordings(intents: Intents) -> dict[str, Wording]:
    """Of each tool, or action, the first wording that says by which words it is named."""
    found: dict[str, Wording] = {}
    for intent in intents.intents.values():
        for data in intent.data:
            metadata = data.metadata or {}
            if metadata.get("tool"):
                action = metadata.get("fixed", {}).get("action", "")
                rule, wording = rule_name(metadata["tool"], action), Wording.of(metadata)
                if rule not in found or not found[rule].named_by:
                    found[rule] = wording
    return found
