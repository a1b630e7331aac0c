"""The sentence grammar: matches utterances against `agent/grammar/*.yaml`; called by the Brain."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from functools import cache, cached_property, lru_cache
from types import MappingProxyType
from typing import Any

from hassil import Intents, merge_dict, recognize_all
from hassil.models import MatchEntity

from agent.sentences import read_folder
from agent.tools.record import rule_name
from agent.understanding.literals import SCRIPT_MARK, Masked, mask, script_cuts
from agent.understanding.wording import Wording

COMMAND_CHARS = 600
"""Sentences without a script are commands; a longer one is not tried."""

NAME_WORDS = 4
CACHED = 512
CACHED_CHARS = 200
"""The meanings of this many sentences, up to this length, are cached."""
EXAMPLE_SCRIPT = "Hello"
SUGGESTED_SCRIPT_CHARS = 500


# A name of our own making has a digit or a hyphen; one without is said with its kind: "the machine pluto".
_TELLING = r"(?=[^\s,]*[0-9-])[A-Za-z0-9][A-Za-z0-9._/-]*"

_KINDS = (
    r"(?:video|render|clip|film|movie|recording|project|scene|script|snapshot|persona|machine|node|job|run"
    r"|picture|photo|one|thing|idea|request)"
)

SHAPES: Mapping[str, re.Pattern[str]] = MappingProxyType(
    {
        "machine": re.compile(r"(?=[^\s]*[0-9-])[A-Za-z0-9][A-Za-z0-9-]*"),
        "machine_word": re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*"),
        # No id of a video or a run.
        "job": re.compile(rf"(?![a-z]+_[0-9A-Za-z]+$){_TELLING}"),
        "job_word": re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*"),
        "hosts": re.compile(rf"(?:all|gpu|{_TELLING}(?:(?:\s*,\s*|\s+and\s+){_TELLING})*)"),
        "hosts_word": re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*"),
        "playbook": re.compile(r"[A-Za-z][A-Za-z0-9_./-]*(?:[ -][A-Za-z0-9]+)?"),
        "role": re.compile(r"[A-Za-z][A-Za-z0-9_]*"),
        "run": re.compile(r"run_[0-9A-Za-z]+"),
        "snapshot": re.compile(r"\S+(?:\s+\S+){0,3}"),
        "other_snapshot": re.compile(r"\S+(?:\s+\S+){0,3}"),
        "saved": re.compile(
            r"(?!(?i:the|an?|my|your|our|his|her|its|their|it|this|that|these|those|some|more|all|up|on|last"
            r"|yesterday|today|then|when|i|we|you|me|us)\b)\S+(?:\s+\S+)?"
        ),
        # Nobody is called "remember that Nova", who says something.
        "persona": re.compile(
            r"(?!(?i:remember|memori[sz]e|note|forget|keep|don't|never|that)\b).*", re.DOTALL
        ),
        # "remember our channel is …" tells something; "remember me" and "remember to call Bob" do not.
        "statement": re.compile(
            r"(?i:(?:I|we|my|our|the|this|these|he|she|it|they|his|her|their|there|your?)\b).*\s.*\s.*",
            re.DOTALL,
        ),
        # "forget that the logo is blue" names what was told; "forget that video" and "forget that" do not.
        "forgotten": re.compile(
            rf"(?!(?i:(?:\S+\s+){{0,2}}{_KINDS}s?\b(?!\s+(?:is|are|was|were|has|have|had|can|will|must|should)\b)))"
            r"\S+(?:\s+\S+){2,}",
            re.DOTALL,
        ),
        # What is deleted is called by its id, or what stands for one in an offered sentence.
        "doomed": re.compile(r"latest|(?=\S*\d)[A-Za-z0-9_-]{4,80}"),
        "audited": re.compile(r"(?=\S*\d)[A-Za-z0-9_:.-]{4,80}"),
        # Ids of runs are said with their kind, so that "cancel run_…" is never taken for a video.
        "identifier": re.compile(r"(?!run_).+", re.DOTALL),
    }
)


FREE_TEXT_SLOTS = frozenset({"script", "remembered", "statement", "purpose", "topic", "colour"})
"""Slots with free text, in which "and delete it" is part of the text."""

_SECOND_IMPERATIVE = re.compile(
    r"(?:\b(?:and|then|but)|[,;.&])\s+(?:(?:then|also|please|just)\s+)*"
    r"(?:abort|accept|cancel|create|delete|deploy|drain|erase|film|forget|install|kill|load|make|move|power"
    r"|produce|publish|reboot|reinstall|reload|remember|remove|rename|render|repeat|restart|retire|retry|save"
    r"|scale|start|stop|throw|upload|wipe|write)\b",
    re.IGNORECASE,
)


_Ratio = Callable[[str, str], float]
_WORD = re.compile(r"\w+")
_CLOSE_ENOUGH = 0.45
_SAME_WORD = 0.7
"""From here on two spellings count as one word."""


def closest_examples(sentence: str, examples: Iterable[str], limit: int = 3) -> tuple[str, ...]:
    """The examples most like `sentence`, best first. Misspelt words count for most of their length."""
    words = _words(sentence)
    if not words:
        return ()
    # Examples share most of their words.
    alike: _Ratio = cache(_ratio)
    ranked = sorted(
        ((_likeness(alike, words, _words(example)), example) for example in examples), reverse=True
    )
    return tuple(example for likeness, example in ranked[:limit] if likeness >= _CLOSE_ENOUGH)


def _ratio(one: str, other: str) -> float:
    """Returns how alike two words are, 0..1; 0 below `_SAME_WORD`."""
    if one == other:
        return 1.0
    # The ratio of words with such lengths is lower at most.
    if 2 * min(len(one), len(other)) < _SAME_WORD * (len(one) + len(other)):
        return 0.0
    # Nor can it be higher than the letters of one that the other has.
    if 2 * sum(letter in other for letter in one) < _SAME_WORD * (len(one) + len(other)):
        return 0.0
    ratio = SequenceMatcher(None, one, other).ratio()
    return ratio if ratio >= _SAME_WORD else 0.0


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)][:12]


def _likeness(alike: _Ratio, words: list[str], example: list[str]) -> float:
    """0..1: how well each word words finds a partner in the example, and the other way round."""
    return (_covered(alike, words, example) + _covered(alike, example[: len(words) + 2], words)) / 2


def _covered(alike: _Ratio, words: list[str], others: list[str]) -> float:
    if not words or not others:
        return 0.0
    return sum(max(alike(word, other) for other in others) for word in words) / len(words)


def misshapen(slots: Mapping[str, str]) -> bool:
    """Returns whether a slot holds something that its kind of name never is: "accept my apologies" names no
    machine.
    """
    return any(
        shape.fullmatch(value) is None
        for name, value in slots.items()
        if (shape := SHAPES.get(name)) is not None and isinstance(value, str)
    )


def has_second_imperative(slots: Iterable[tuple[str, str]]) -> bool:
    """Returns whether a name goes on with another command. Quotations in the values are masked."""
    return any(
        name not in FREE_TEXT_SLOTS and _SECOND_IMPERATIVE.search(value) is not None for name, value in slots
    )


@dataclass(frozen=True, slots=True)
class HelpEntry:
    """One thing people can ask for, in words. So many `openings` of its examples, from the first, work where
    there is nothing yet: the page shows them at an empty start.
    """

    intent: str
    tool: str | None
    purpose: str
    examples: tuple[str, ...]
    openings: int
    rule: str
    """The tool with its action: `edit_project.rename`; empty without a tool."""


@dataclass(frozen=True, slots=True)
class Understanding:
    """The meaning of an utterance: the intent, its tool, and the arguments as typed."""

    intent: str
    tool: str | None
    arguments: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class NotUnderstood:
    """No sentence matched. `several`: one would have, without its second imperative. `find_suggestions` takes
    longer than to understand a sentence, so it is called only for those who are told.
    """

    several: bool = False
    find_suggestions: Callable[[], tuple[str, ...]] = field(default=tuple, compare=False, repr=False)

    @cached_property
    def suggestions(self) -> tuple[str, ...]:
        """Returns examples close to what was said, the closest first."""
        return self.find_suggestions()


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
        return cls(load_templates())

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
            found = self._match(mask(cut.before, cut.after), script=cut.script)
            if found is not None:
                return found
            script = script or cut.script
        command = utterance.strip()
        if len(command) <= COMMAND_CHARS:
            found = self._match(mask(command))
            if found is not None:
                return found

        def find_suggestions() -> tuple[str, ...]:
            close = closest_examples(command[:COMMAND_CHARS], self.examples())
            return tuple(_in_their_words(example, script) for example in close)

        return NotUnderstood(find_suggestions=find_suggestions)

    def wording(self, rule: str) -> Wording:
        """Returns how people ask for a tool, or for one `tool.action`; nothing is known of others."""
        return self._wordings.get(rule, Wording())

    def examples(self) -> Iterable[str]:
        return (example for entry in self.help for example in entry.examples)

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
            # Half a sentence before "says" is not somebody's name but a command that was misspelt.
            if right_script and len(slots.get("persona", "").split()) <= NAME_WORDS:
                metadata = result.intent_data.metadata or {}
                names = metadata.get("arguments", {})
                if script is not None:
                    slots["script"] = script
                spoken = {names.get(slot, slot): value for slot, value in slots.items()}
                arguments = {**metadata.get("fixed", {}), **spoken}
                return Understanding(result.intent.name, metadata.get("tool"), arguments)
        return NotUnderstood(several=True) if several else None


@cache
def load_templates() -> Intents:
    """Reads every `agent/grammar/*.yaml`; hassil parses each template when a sentence first meets it."""
    merged: dict[str, Any] = {}
    for content in read_folder("grammar").values():
        merge_dict(merged, content)
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


def _help_entries(intents: Intents) -> Iterator[HelpEntry]:
    for intent in intents.intents.values():
        for data in intent.data:
            metadata = data.metadata or {}
            yield HelpEntry(
                intent.name,
                metadata.get("tool"),
                metadata.get("help", ""),
                tuple(metadata.get("examples", ())),
                int(metadata.get("openings", 0)),
                rule_name(metadata.get("tool", ""), metadata.get("fixed", {}).get("action", "")),
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
