"""Words the agent's own replies, by language, from `agent/replies/*.yaml`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from agent.sentences import read_folder
from agent.understanding.dialogue import CallRecord
from agent.understanding.language import DEFAULT
from agent.understanding.wording import Wording

SHOWN_CHARS = 60
"""Of an argument in the words of a call."""


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
            name: _brief(self.value(name, value))
            for name, value in call.arguments.items()
            if value not in (None, "")
        }
        words = Wording(say=template).sentence(arguments) or template.partition("[")[0].strip()
        others = [
            label if call.arguments[name] is True else f"{label} {arguments[name]}"
            for name, label in self._group("arguments").items()
            if name in arguments and f"{{{name}}}" not in template
        ]
        return ", ".join([words or call.intent, *others])

    def value(self, name: str, value: object) -> object:
        """Returns the word for a fixed value of an argument: “hochkant” for vertical."""
        words = self._texts.get("values", {}).get(name, {})
        return words.get(str(value), value)

    def _group(self, name: str) -> Mapping[str, str]:
        found: Mapping[str, str] = self._texts.get(name, self._fallback[name])
        return found

    def help_subject(self, topic: str) -> str:
        """Returns what a topic is called in the grammar's purposes: its stem, or the word given for it."""
        stem = topic.lower().strip(" ?.!")
        return str(self._texts["help"].get("subjects", {}).get(stem, stem.rstrip("s")))

    def kind(self, kind: str) -> str:
        """Returns the noun of a kind of things."""
        return str(self._texts["kinds"].get(kind, kind))

    def state(self, state: str) -> str:
        """Returns the word for the state of a thing."""
        return str(self._texts["states"].get(state, state))


def is_assent(text: str) -> bool:
    """Returns whether a text has the words of a yes and no others, in one of the languages."""
    words = re.findall(r"\w+", text.lower())
    only_words = re.fullmatch(r"[\w\s,.!'’-]*", text) is not None and "\n" not in text.strip()
    return only_words and any(set(words) <= set(one["assent"].split()) for one in _texts().values() if words)


def _brief(value: object) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= SHOWN_CHARS else f"{text[: SHOWN_CHARS - 1]}…"


@cache
def _texts() -> Mapping[str, Mapping[str, Any]]:
    return read_folder("replies")
