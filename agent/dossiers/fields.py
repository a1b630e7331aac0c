"""Reads fields of JSON objects and collects every problem with its pointer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from agent.dossiers.problems import MAX_PROBLEMS, Problem, pointer_of

MAX_TEXT = 4000
MAX_ITEMS = 2000


@dataclass(slots=True)
class Findings:
    errors: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)

    def error(self, pointer: str, message: str, hint: str = "") -> None:
        self.errors.append(Problem(pointer=pointer, message=message, hint=hint))

    def warn(self, pointer: str, message: str, hint: str = "") -> None:
        self.warnings.append(Problem(pointer=pointer, message=message, hint=hint))


@dataclass(frozen=True, slots=True)
class Fields:
    """One JSON object and where it stands. Names are tried in order: dossiers differ in some of them."""

    values: Mapping[str, Any]
    pointer: str
    findings: Findings

    def at(self, name: str | int) -> str:
        return self.pointer + pointer_of(name)

    def find_name(self, *names: str) -> str | None:
        """Returns the first of these names that exists, with a lower or upper first letter."""
        for name in names:
            for form in (name, name[:1].upper() + name[1:]):
                if self.values.get(form) is not None:
                    return form
        return None

    def text(self, *names: str, required: bool = False, limit: int = MAX_TEXT) -> str:
        """Returns a text; "" when it is missing or wrong, which adds a problem."""
        name = self.find_name(*names)
        if name is None:
            if required:
                self.findings.error(self.pointer, f"`{names[0]}` is missing.", "Add it as a text.")
            return ""
        value = self.values[name]
        if not isinstance(value, str):
            self.findings.error(self.at(name), f"This is {_kind(value)}, and must be a text.")
            return ""
        if required and not value.strip():
            self.findings.error(self.at(name), "This text is empty.")
        if len(value) > limit:
            message = f"This text has {len(value)} characters; the limit is {limit}."
            self.findings.error(self.at(name), message, "Shorten it.")
        return value[:limit].strip()

    def choice(self, known: Sequence[str], *names: str, default: str = "") -> str:
        """Returns one of `known`, in any case; without a `default` it is required."""
        found = self.text(*names, required=not default)
        if not found:
            return default
        if found.upper() in known:
            return found.upper()
        name = self.find_name(*names) or names[0]
        near = get_close_matches(found.upper(), known, n=1)
        hint = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(known)}."
        self.findings.error(self.at(name), f"There is no {names[0]} {found[:80]!r}.", hint)
        return default or known[0]

    def number(self, name: str, *, minimum: int, maximum: int, default: int) -> int:
        value = self.values.get(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value <= maximum:
            self.findings.error(self.at(name), f"This must be a whole number from {minimum} to {maximum}.")
            return default
        return value

    def texts(self, *names: str) -> tuple[str, ...]:
        """Returns a list of texts; a single text counts as a list of one."""
        name = self.find_name(*names)
        if name is None:
            return ()
        value = self.values[name]
        if isinstance(value, str):
            return (value[:MAX_TEXT],)
        if not isinstance(value, list):
            self.findings.error(self.at(name), f"This is {_kind(value)}, and must be a list of texts.")
            return ()
        found = []
        for number, item in enumerate(value[:MAX_ITEMS]):
            if isinstance(item, str):
                found.append(item[:MAX_TEXT])
            else:
                self.findings.error(self.at(name) + pointer_of(number), f"This is {_kind(item)}, not a text.")
        return tuple(found)

    def object(self, *names: str, required: bool = False) -> Fields | None:
        name = self.find_name(*names)
        if name is None:
            if required:
                self.findings.error(self.pointer, f"`{names[0]}` is missing.", "Add it as an object.")
            return None
        value = self.values[name]
        if not isinstance(value, dict):
            self.findings.error(self.at(name), f"This is {_kind(value)}, and must be an object.")
            return None
        return Fields(value, self.at(name), self.findings)

    def objects(self, *names: str) -> Iterator[Fields]:
        """Yields the objects of a list; other items add a problem."""
        name = self.find_name(*names)
        if name is None:
            return
        value = self.values[name]
        if not isinstance(value, list):
            self.findings.error(self.at(name), f"This is {_kind(value)}, and must be a list.")
            return
        if len(value) > MAX_ITEMS:
            message = f"This list has {len(value)} items; the limit is {MAX_ITEMS}."
            self.findings.error(self.at(name), message, "Split the dossier.")
        for number, item in enumerate(value[:MAX_ITEMS]):
            place = self.at(name) + pointer_of(number)
            if isinstance(item, dict):
                yield Fields(item, place, self.findings)
            else:
                self.findings.error(place, f"This is {_kind(item)}, and must be an object.")

    def unknown(self, known: frozenset[str]) -> None:
        """Warns of unknown names: most often they are typing errors."""
        strange = [one for one in self.values if one not in known and one[:1].lower() + one[1:] not in known]
        for name in strange[:MAX_PROBLEMS]:
            near = get_close_matches(name, known, n=1)
            hint = f"Did you mean `{near[0]}`?" if near else ""
            self.findings.warn(self.at(name), "This is not known here and is left out.", hint)
        if len(strange) > MAX_PROBLEMS:
            self.findings.warn(self.pointer, f"{len(strange) - MAX_PROBLEMS} more names are not known here.")


def _kind(value: Any) -> str:
    kinds = {bool: "true or false", int: "a number", float: "a number", str: "a text", list: "a list"}
    return "null" if value is None else kinds.get(type(value), "an object")
