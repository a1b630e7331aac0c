"""Words the agent's own replies, by language, from `agent/replies/*.yaml`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from agent.sentences import read_folder, read_yaml
from agent.understanding.dialogue import CallRecord
from agent.understanding.language import DEFAULT
from agent.understanding.wording import Wording
from soundstage.one_line import shorten

SHOWN_CHARS = 60
"""Of an argument in the words of a call."""


_IN_QUOTES = re.compile("[“„]([^“”]+)[“”]")
_MARKS = re.compile(r"[\n“”„\"«»:]")
"""Signs of a text that is quoted or pasted."""
_OPTIONAL = re.compile(r"\[[^\]]*\]")
YES_ELSEWHERE = Path(__file__).with_name("yes.yaml")
QUOTED = frozenset({"script", "title", "heading", "description"})
"""Arguments that are somebody's words."""


class Replies:
    """The replies of one language. What it lacks is taken from the default language."""

    def __init__(self, texts: Mapping[str, Any], fallback: Mapping[str, Any]) -> None:
        self._texts = texts
        self._fallback = fallback

    @classmethod
    def of(cls, language: str) -> Replies:
        """Returns the replies of a language; those of the default where there are none."""
        texts = _texts()
        return cls(texts.get(language, texts[DEFAULT]), texts[DEFAULT])

    def has(self, group: str, name: str) -> bool:
        return name in self._fallback[group]

    def text(self, group: str, reply: str = "", **values: object) -> str:
        """Returns a reply with its values."""
        found = self._texts.get(group, self._fallback[group])
        if reply:
            found = found.get(reply) or self._fallback[group][reply]
        return str(found).format_map({key: str(value) for key, value in values.items()})

    def call(self, call: CallRecord) -> str:
        """Returns what a call does, in a few words."""
        template = self._texts["calls"].get(call.intent) or self._fallback["calls"].get(call.intent, "")
        arguments = {
            name: shorten(" ".join(str(self.value(name, value)).split()), SHOWN_CHARS)
            for name, value in call.arguments.items()
            if value not in (None, "")
        }
        words = Wording(say=template).sentence(arguments) or template.partition("[")[0].strip()
        others = [
            label if call.arguments[name] is True else f"{label} {self._quoted(name, arguments[name])}"
            for name, label in self._group("arguments").items()
            if name in arguments and f"{{{name}}}" not in template
        ]
        return ", ".join([words or call.intent, *others])

    def time(self, at: datetime) -> str:
        """Returns a time within a sentence: “on Friday 4 December at 08:00”."""
        day = self.text("weekdays", f"{at:%A}".lower())
        month = self.text("months", f"{at:%B}".lower())
        return self.text("when", "time", day=day, date=at.day, month=month, clock=f"{at:%H:%M}")

    def value(self, name: str, value: object) -> object:
        """Returns the word for a fixed value of an argument: “hochkant” for vertical."""
        words = self._texts.get("values", {}).get(name, {})
        return words.get(str(value), value)

    def _quoted(self, name: str, value: str) -> str:
        return self.text("quoted", text=value) if name in QUOTED else value

    def _group(self, name: str) -> Mapping[str, str]:
        found: Mapping[str, str] = self._texts.get(name, self._fallback[name])
        return found

    def help_subject(self, topic: str) -> str:
        """Returns what a topic is called in the grammar's purposes: its stem, or the word given for it."""
        stem = topic.lower().strip(" ?.!")
        return str(self._texts["help"].get("subjects", {}).get(stem, stem.rstrip("s")))

    def examples(self, intents: Sequence[str]) -> list[str]:
        """Returns a sentence for each of some intents, where there is one."""
        some = self._texts.get("examples", {})
        return [str(some[intent]) for intent in intents if intent in some]

    def example_sentences(self, rule: str) -> Sequence[str]:
        """Returns what people can say for calls of a rule; nothing in the language of the grammar, which has
        its own examples.
        """
        if self._texts is self._fallback:
            return ()
        return [sentence for found in self.examples([rule]) for sentence in _IN_QUOTES.findall(found)]

    def purpose(self, rule: str) -> str | None:
        """Returns what calls of a rule do, without their arguments; None in the language of the grammar."""
        if self._texts is self._fallback:
            return None
        found = _OPTIONAL.sub("", str(self._texts["calls"].get(rule, "")))
        return found or None

    def kind(self, kind: str) -> str:
        """Returns the noun of a kind of things."""
        return str(self._texts["kinds"].get(kind, kind))

    def goes_on(self, text: str) -> bool:
        """Returns whether a text asks for the rest of what was begun, and for nothing else."""
        return _plain(text) in self._group("go_on")["words"]

    def state(self, state: str) -> str:
        """Returns the word for the state of a thing."""
        return str(self._texts["states"].get(state, state))


def is_assent(text: str) -> bool:
    """Returns whether a text has the words of a yes and no others, in one of the languages."""
    if is_yes_elsewhere(text) and not _MARKS.search(text.strip()):
        return True
    words = re.findall(r"\w+", text.lower())
    only_words = re.fullmatch(r"[\w\s,.!'’-]*", text) is not None and "\n" not in text.strip()
    return only_words and any(set(words) <= set(one["assent"].split()) for one in _texts().values() if words)


def is_yes_elsewhere(text: str) -> bool:
    """Returns whether a text is a plain yes in a language that the replies do not have."""
    return _plain(text) in _yes_elsewhere()


def _plain(text: str) -> str:
    return " ".join(re.findall(r"[^\W_]+(?:['’][^\W_]+)*", text.lower().replace("’", "'")))


@cache
def _yes_elsewhere() -> frozenset[str]:
    return frozenset(_plain(word) for words in read_yaml(YES_ELSEWHERE).values() for word in words)


@cache
def _texts() -> Mapping[str, Mapping[str, Any]]:
    return read_folder("replies")
