"""Compares calls with what a case wants; the rules are in README.md."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from rapidfuzz import fuzz

from agent.understanding import values
from agent.understanding.intents import READS

NEWEST = {
    "render": "Welcome clip",
    "project": "Harbour tour",
    "video": "Welcome clip",
    "about": "Welcome clip",
    "run": "latest",
}
FINISHED = "Lab safety intro"
DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "make_render": {"persona": "nova"},
    "cancel_render": {"render": "latest"},
    "retry_render": {"render": "latest"},
    "show_render": {"render": "latest"},
    "publish_render": {"render": "latest"},
    "edit_project": {"project": "latest"},
    "create_persona": {"persona": ""},
    "show_runs": {"run": ""},
    "cancel_run": {"run": "latest"},
    "audit": {"about": "latest"},
}
_ARTICLES = re.compile(
    r"\b(?:the|a|an|our|my|your|der|die|das|den|dem|des|ein|eine|einen|unser|unsere|unseren|mein|meine)\b"
)
LIKE = 80.0
FREE = frozenset({"topic", "about", "purpose", "text", "question", "description", "person"})


def plain(value: object) -> str:
    text = unicodedata.normalize("NFC", str(value)).casefold().replace("’", "'")
    return re.sub(r"[\s_]+", " ", re.sub(r"[\"“”„«»]", "", text)).strip(" .,!?;:'")


def without_articles(value: object) -> str:
    return " ".join(_ARTICLES.sub(" ", plain(value)).split())


def same(argument: str, expected: object, found: object) -> bool:
    """Returns whether an argument has the wanted value."""
    if isinstance(expected, bool) or isinstance(found, bool):
        return _truth(expected) == _truth(found)
    if argument == "code" and found:
        return True
    one, other = plain(expected), plain(found)
    if one == other:
        return True
    if argument in NEWEST:
        meant = {one, other}
        if meant <= {"latest", plain(NEWEST[argument]), "1"} or meant <= {"finished", plain(FINISHED)}:
            return True
    if argument in ("machines",):
        return {part.strip() for part in one.split(",")} == {part.strip() for part in other.split(",")}
    if argument in FREE or argument == "title":
        return without_articles(one) == without_articles(other)
    if argument in ("publish_at",):
        return one[:16].replace("t", " ") == other[:16].replace("t", " ")
    if argument == "script":
        return re.sub(r"[^\w]+", " ", one).strip() == re.sub(r"[^\w]+", " ", other).strip()
    if argument == "at_s":
        if values.seconds(one) == values.seconds(other) is not None:
            return True
        return one.removeprefix("the ") == other.removeprefix("the ") or (
            _number(one) is not None and _number(one) == _number(other)
        )
    if argument in ("command",):
        return one.split() == other.split()
    return _number(one) is not None and _number(one) == _number(other)


def _truth(value: object) -> bool:
    return plain(value) not in ("", "none", "false", "no", "0")


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def call_matches(expected: Mapping[str, Mapping[str, Any]], found: tuple[str, Mapping[str, Any]]) -> bool:
    """Returns whether a call has the wanted tool, and its arguments the wanted values."""
    ((tool, arguments),) = expected.items()
    name, actual = found
    if tool != name:
        return False
    scene_numbers = actual.get("scene_numbers", {})
    for argument, value in (arguments or {}).items():
        got = actual.get(argument, DEFAULTS.get(tool, {}).get(argument))
        if (
            argument in ("scene", "after", "before")
            and str(value).isdigit()
            and str(scene_numbers.get(argument)) == str(value)
        ):
            continue
        if (
            argument in ("scene", "after", "before")
            and plain(value) == "last"
            and scene_numbers.get(argument + "_last")
        ):
            continue
        if value in (None, "", []) and got in (None, "", []):
            continue
        if arguments.get("action") == "recall" and argument == "about" and shares_word(value, got):
            continue
        if not same(argument, value, got):
            return False
    return not any(is_unasked(name, value) for name, value in actual.items() if name not in (arguments or {}))


def shares_word(expected: object, found: object) -> bool:
    """Returns whether two questions to the memory, which ranks by meaning, share a word of content."""
    one, other = (set(re.findall(r"\w{4,}", without_articles(text))) for text in (expected, found))
    return any(fuzz.ratio(word, word_) >= LIKE for word in one for word_ in other)


def is_unasked(argument: str, value: object) -> bool:
    """Returns whether an argument that nobody spoke of does more than was asked for."""
    if argument in ("everything", "again", "replace", "publish_at"):
        return _truth(value)
    return argument == "privacy" and plain(value) == "public"


def is_forbidden(name: str, call: tuple[str, Mapping[str, Any]]) -> bool:
    """Returns whether a call is what `forbid` names."""
    tool, arguments = call
    action = str(arguments.get("action", ""))
    if name == "any_write":
        return (f"{tool}.{action}" if action else tool) not in READS
    named, is_equation, value = name.partition("=")
    expected_tool, _, rest = named.partition(".")
    if tool != expected_tool:
        return False
    if is_equation:
        return rest in arguments and same(rest, value, arguments[rest])
    return rest in ("", action)


def calls_match(
    expected: Sequence[Mapping[str, Mapping[str, Any]]], found: Sequence[tuple[str, Mapping[str, Any]]]
) -> bool:
    """Returns whether the calls are the wanted ones, in their order."""
    return len(expected) == len(found) and all(map(call_matches, expected, found))
